"""The sandbox's answers against figshare's own description of them (contract.json, see README.md)."""

from __future__ import annotations

import pytest
from jsonschema import ValidationError
from relaxed import CONTRACT, PATHS, check


class Witness:
    """Asks as the owner does, and holds every answer to the contract."""

    def __init__(self, owner):
        self.owner = owner
        self.seen = set()

    def __call__(self, method, address, body=None):
        answer = self.owner(method, address, body)
        path = (address if address.startswith("/") else address.removeprefix(self.owner.box.api_url)).partition("?")[0]
        template, operations = next(found for pattern, found in PATHS.items() if pattern.fullmatch(path))
        self.seen.add((method.lower(), template))
        if answer.status >= 400:
            check({"$ref": "#/ErrorMessage"}, answer.json())
            return answer
        stated = operations[method.lower()]["responses"]
        assert str(answer.status) in stated, (method, template, answer)
        content = stated[str(answer.status)].get("content")
        if content and answer.status not in (202, 204, 205):
            check(content["application/json"]["schema"], answer.json())
        return answer


def test_every_answer_is_as_the_contract_says(start, ask):
    """All operations of the contract, with good answers and bad ones."""
    owner = start()
    ask_as_owner = Witness(owner)
    fill(ask_as_owner, owner)
    article = owner.article
    for name in ("/account", "/account/licenses", "/account/categories", "/licenses", "/categories"):
        ask_as_owner("GET", name)
    for status in ("draft", "public"):
        assert ask_as_owner("GET", article).json()["status"] == status
        ask_as_owner("GET", "/account/articles")
        ask_as_owner("GET", f"{article}/files?page_size=100")
        ask_as_owner("POST", f"{article}/publish")
    for path in ("", "/files", "/versions", "/versions/1", *(f"/versions/1/{x}" for x in ("files", *CLOSED))):
        assert ask_as_owner("GET", owner.public + path).json()
    for address in ("/articles/search", "/account/articles/search"):
        assert ask_as_owner("POST", address, {"search_for": "rehearsal"}).json()
    assert ask_as_owner("POST", f"{article}/unpublish", {"reason": "Not any more"}).status == 403
    file = ask_as_owner("GET", f"{owner.public}/files").json()[0]["id"]
    ask_as_owner("GET", f"{owner.public}/files/{file}")
    assert ask_as_owner("GET", "/articles").json()
    assert owner("GET", f"/file/download/{file}").status == 302
    assert ask_as_owner("DELETE", f"{article}/files/{file}").status == 204
    refusals(ask_as_owner, article)
    every = {(method, path) for path, operations in CONTRACT["paths"].items() for method in operations}
    assert every - ask_as_owner.seen == {("get", "/file/download/{file_id}")}


CLOSED = {
    "embargo": {"is_embargoed": True, "embargo_type": "file", "embargo_date": "2999-01-01"},
    "confidentiality": {"reason": "Patients"},
}


def fill(ask_as_owner, owner):
    """Give the draft for trying all that an article can have."""
    other = ask_as_owner("POST", "/account/articles", {"title": "To be deleted"}).headers["Location"]
    ask_as_owner("DELETE", other)
    article = owner.article
    more = {
        "references": ["https://example.org"],
        "funding": "A grant",
        "funding_list": [{"title": "A grant"}],
        "related_materials": [{"identifier": "10.1/x", "identifier_type": "DOI"}],
        "custom_fields": {"species": "Mus musculus"},
        "timeline": {"firstOnline": "2026-01-01"},
    }
    for method in ("PUT", "PATCH"):
        ask_as_owner(method, article, more)
    for method in ("PUT", "POST"):
        ask_as_owner(method, f"{article}/authors", {"authors": [{"name": "Ada Lovelace"}]})
        ask_as_owner(method, f"{article}/categories", {"categories": [24277, 24470]})
    ada = ask_as_owner("GET", f"{article}/authors").json()[0]["id"]
    assert ask_as_owner("DELETE", f"{article}/authors/{ada}").status == 204
    assert ask_as_owner("DELETE", f"{article}/categories/24470").status == 204
    assert ask_as_owner("GET", f"{article}/categories").json()
    ask_as_owner("POST", f"{article}/reserve_doi")
    ask_as_owner("POST", f"{article}/private_links", {})
    link = ask_as_owner("GET", f"{article}/private_links").json()[0]["id"]
    ask_as_owner("PUT", f"{article}/private_links/{link}", {"expires_date": "2030-01-01 00:00:00"})
    ask_as_owner("DELETE", f"{article}/private_links/{link}")
    for name, said in CLOSED.items():
        assert ask_as_owner("PUT", f"{article}/{name}", said).status == 205
        assert (
            ask_as_owner("GET", f"{article}/{name}").json()["is_embargoed" if name == "embargo" else "is_confidential"]
            is True
        )
        ask_as_owner("GET", article)
        assert ask_as_owner("DELETE", f"{article}/{name}").status == 204
    for body in ({"name": "a.npy", "size": 2560, "folder_path": "lab"}, {"link": "https://example.org/a.npy"}):
        file = ask_as_owner("POST", f"{article}/files", body).headers["Location"]
        record = ask_as_owner("GET", file).json()
        if "upload_url" in record:
            owner.send(file, bytes(2560))
            session = owner("GET", record["upload_url"]).json()
            check({"$ref": "#/UploadInfo"}, session)
            check({"$ref": "#/UploadFilePart"}, owner("GET", f"{record['upload_url']}/1").json())
            ask_as_owner("POST", file)
            owner.settled(file)


def refusals(ask_as_owner, article):
    """Ask for what is refused, in each of the ways there are."""
    for status, method, path, body in [
        (400, "PUT", article, {"title": None}),
        (400, "POST", f"{article}/files", {"name": "a", "size": 0}),
        (403, "DELETE", article, None),
        (404, "GET", f"{article}/files/1", None),
        (404, "PUT", article, {"categories": [1]}),
        (422, "GET", f"{article}/files?page=1&limit=1", None),
        (422, "POST", f"{article}/files", {}),
    ]:
        assert ask_as_owner(method, path, body).status == status


def test_the_validation_would_find_a_fault():
    schema = CONTRACT["paths"]["/account/articles/{article_id}/files"]["get"]["responses"]["200"]["content"]
    with pytest.raises(ValidationError, match="PrivateFile"):
        check(schema["application/json"]["schema"], [{"id": 1}])
