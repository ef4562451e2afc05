"""The sandbox's answers against figshare's own description of them (contract.json, see README.md)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, ValidationError

CONTRACT = json.loads((Path(__file__).parent / "contract.json").read_text(encoding="utf-8"))
SCHEMAS = CONTRACT["components"]["schemas"]
PATHS = {
    re.compile(re.sub(r"\{.*?\}", "[^/]+", path)): (path, operations) for path, operations in CONTRACT["paths"].items()
}


def relaxed(schema):
    """Return JSON Schema for OpenAPI 3.0: references below `$defs`, and null beside every type but an array's."""
    if isinstance(schema, list):
        return [relaxed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"anyOf": [{"$ref": "#/$defs/" + schema["$ref"].rpartition("/")[2]}, {"type": "null"}]}
    converted = {key: relaxed(value) for key, value in schema.items() if key not in ("format", "example", "x-tag")}
    if isinstance(converted.get("type"), str) and converted["type"] != "array":
        converted["type"] = [converted["type"], "null"]
    if "enum" in converted:
        converted["enum"] = [*converted["enum"], None]
    return converted


DEFINITIONS = {name: relaxed(schema) for name, schema in SCHEMAS.items()}
DEFINITIONS["PrivateFile"]["required"] = ["is_attached_to_public_version", "preview_state", "viewer_type"]
DEFINITIONS["LocationWarnings"]["required"] = ["location", "warnings"]
DEFINITIONS["ErrorMessage"]["properties"]["code"] = {"type": "string"}
DEFINITIONS["ErrorMessage"]["required"] = ["code", "message"]


def check(schema, value):
    """Hold a value to a schema."""
    Draft202012Validator({**relaxed(schema), "$defs": DEFINITIONS}).validate(value)


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
    """All operations of the contract, with good answers and bad ones.

    The contract is wrong or silent in places, so these things are not held to it:

    * it states no server: the address of the API is taken off before a path is looked up;
    * errors have no schema but 403's, whose `code` is a number: here every error is held to it, with a text as code;
    * the upload service has schemas, but no paths;
    * 202, 204 and 205 have no JSON, whatever the contract says of them;
    * a linked file has no `upload_url` and no `upload_token`;
    * `entity_id` may be missing;
    * null may stand for any text, number, truth value or object, as nullability is not declared;
    * JSON may be labelled as HTML.
    """
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
    for path in ("", "/files", "/versions", "/versions/1", "/versions/1/files"):
        assert ask_as_owner("GET", owner.public + path).json()
    file = ask_as_owner("GET", f"{owner.public}/files").json()[0]["id"]
    ask_as_owner("GET", f"{owner.public}/files/{file}")
    assert ask_as_owner("GET", "/articles").json()
    assert owner("GET", f"/file/download/{file}").status == 302
    assert ask_as_owner("DELETE", f"{article}/files/{file}").status == 204
    refusals(ask_as_owner, article)
    every = {(method, path) for path, operations in CONTRACT["paths"].items() for method in operations}
    assert every - ask_as_owner.seen == {("get", "/file/download/{file_id}")}


def fill(ask_as_owner, owner):
    """Give the draft for trying all that an article can have."""
    other = ask_as_owner("POST", "/account/articles", {"title": "To be deleted"}).headers["Location"]
    ask_as_owner("DELETE", other)
    article = owner.article
    more = {"references": ["https://example.org"], "funding": "A grant", "timeline": {"firstOnline": "2026-01-01"}}
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
