"""The endpoint that controls a running sandbox, and the same from Python."""

from __future__ import annotations

import http.client
import json

import pytest

from onelight.sandbox import Settings
from onelight.sandbox.switches import changed, jsonable, shown, switch, switches, value_of


@pytest.fixture
def control(start, ask):
    """Ask the control endpoint of a sandbox of its own; its owner is `control.owner`."""
    owner = start()

    def control(method, path="", body=None, headers=None):
        address = owner.box.api_url.removesuffix("/v2") + "/control" + path
        return ask(method, address, None if body is None else json.dumps(body), headers)

    control.owner = owner
    return control


def test_it_shows_everything(control):
    owner = control.owner
    owner("GET", owner.article)
    state = control("GET").json()
    assert state["settings"]["part_size"] == 1000
    assert set(state["settings"]) == {item.field for item in switches()}
    assert state["counts"] == {"api GET /v2/account/articles/{article_id}": 1}
    assert state["requests"] == 1
    (account,) = state["accounts"]
    assert account["token"] == owner.box.token
    assert control("GET").json()["requests"] == 1  # it does not count itself


def test_it_changes_settings_and_faults_while_the_sandbox_runs(control):
    owner = control.owner
    said = {
        "settings": {"parts": "2kB", "check_md5": False},
        "faults": {
            "waf202": 0.5,
            "5xx": "1x2",
            "reset": {"probability": 1, "times": 3, "method": "put", "origin": "upload"},
        },
        "seed": 9,
    }
    state = control("POST", "", said).json()
    assert (state["settings"]["part_size"], state["settings"]["check_md5"], state["seed"]) == (2000, False, 9)
    assert state["faults"]["5xx"]["times"] == 2
    assert (state["faults"]["reset"]["method"], state["faults"]["reset"]["origin"]) == ("PUT", "upload")
    assert [owner("GET", "/account").status // 100 for _ in range(3)] == [5, 5, 2]
    assert owner.box.settings.part_size == 2000
    state = control("POST", "", {"reset_counts": True, "faults": {"waf202": 0}}).json()
    assert (state["requests"], state["played"], "waf202" in state["faults"]) == (0, {}, False)
    assert control("POST", "", {"clear_faults": True}).json()["faults"] == {}


def test_faults_do_not_keep_anyone_from_the_control(control):
    control.owner.box.faults.set("reset")
    control.owner.box.faults.set("lost")
    assert control("POST", "", {"clear_faults": True}).status == 200


@pytest.mark.parametrize(
    ("path", "said", "message"),
    [
        ("", {"setings": {}}, "is 'settings' meant"),
        ("", {"settings": {"part-sise": 1}}, "is 'part-size' meant"),
        ("", {"settings": {"parts": "0"}}, "at least 1"),
        ("", {"faults": {"waf203": 1}, "settings": {"parts": 7}}, "there is no fault 'waf203'"),
        ("", {"faults": {"reset": 3}}, "from 0 to 1"),
        ("", {"faults": []}, "not of type 'object'"),
        ("/accounts", {}, "needs a name"),
        ("/accounts", {"name": "A", "quota": -1}, "no limit"),
        ("/articles/{}", {"is_embargoed": 1}, "not of type 'boolean'"),
        ("/articles/{}", {"embargo_type": "moon"}, "is not one of"),
        ("/articles/{}", {"embargo_date": "soon"}, "is not a date"),
        ("/articles/{}", {"is_embargod": True}, "is 'is-embargoed' meant"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_changes(control, path, said, message):
    answer = control("POST", path.format(control.owner.box.article_id), said)
    assert answer.status == 400
    assert message in answer.json()["message"]
    assert control.owner.box.settings.part_size == 1000
    assert control.owner.box.faults.rules == {}


def test_an_article_that_is_not_there(control):
    for method in ("GET", "POST"):
        assert control(method, "/articles/1", {}).status == 404


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://example.org"}, {"Origin": "null"}, {"Host": "example.org"}, {"Host": "[::1"}]
)
def test_web_pages_cannot_control_it(control, headers):
    for method, path in (("GET", ""), ("POST", ""), ("POST", "/accounts"), ("GET", "/articles/1")):
        answer = control(method, path, {}, headers)
        assert answer.status == 403
        assert control.owner.box.token not in answer.body.decode()


def test_a_host_that_is_this_computer_may(control):
    port = control.owner.box.ports[0]
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for host in ("localhost", "127.0.0.1:99", "[::1]:80"):
        connection.request("GET", "/control", headers={"Host": host})
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (200, True)
    connection.close()


def test_a_setting_can_be_changed_from_python(start):
    owner = start()
    owner.box.change(part_size="3kB", files=2)
    assert (owner.box.settings.part_size, owner.box.settings.file_limit) == (3000, 2)
    owner.box.stop()
    assert owner.box.settings.part_size == 3000
    with pytest.raises(ValueError, match="there is no switch"):
        owner.box.change(opera=1)


# -------------------------------------------------------------------------------------------------------------------
# How settings are written
# -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("item", switches(), ids=lambda item: item.name)
def test_every_switch_can_be_written_and_means_something(item):
    assert value_of(item, shown(item, item.default)) == item.default
    assert item.means.endswith(".")
    assert switch(item.field) == switch(item.name) == item
    assert changed(Settings(), {item.field: jsonable(Settings())[item.field]}) == Settings()


def test_no_two_switches_have_one_name():
    names = [name for item in switches() for name in {item.field.replace("_", "-"), item.name}]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("parts=1MiB", "part_size", 2**20),
        ("quota=10MB", "quota", 10_000_000),
        ("quota=500k", "quota", 500_000),
        ("md5-late=2s", "md5_late_ms", 2000),
        ("md5_late_ms=200", "md5_late_ms", 200),
        ("latency=200ms", "latency_ms", 200),
        ("hang=1min", "short_put_hang_seconds", 60.0),
        ("signature-seconds=3", "signature_seconds", 3),
        ("check-md5=off", "check_md5", False),
        ("check_md5=yes", "check_md5", True),
        ("publish-requires=title, files", "publish_requires", ("title", "files")),
        ("publish-requires=", "publish_requires", ()),
        ("unauthorised-status=401", "unauthorised_status", 401),
        ("doi=10.17028/rd.lboro.{article_id}", "doi", "10.17028/rd.lboro.{article_id}"),
    ],
)
def test_values_are_read(text, field, value):
    name, _, said = text.partition("=")
    assert getattr(changed(Settings(), {name: said}), field) == value


def test_categories_and_licences_are_chosen_by_number():
    settings = changed(Settings(), {"categories": "24277,24470", "licenses": [1]})
    assert [c.title for c in settings.categories] == ["Animal neurobiology", "Central nervous system"]
    assert [x.name for x in settings.licenses] == ["CC BY 4.0"]
    assert changed(settings, {"categories": "all"}).categories == Settings().categories


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("parts", "0"),
        ("parts", "many"),
        ("parts", "9" * 30),
        ("quota", "-1"),
        ("md5-late", "soon"),
        ("check-md5", "maybe"),
        ("long-put-status", "99"),
        ("long-put-status", "6xx"),
        ("files", True),
        ("files", "1.5"),
        ("publish-requires", "tite"),
        ("categories", "1"),
        ("doi", "10.5072/x"),
        ("doi", "10.5072/{article_id}{other}"),
    ],
)
def test_values_that_do_not_fit_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=name):
        changed(Settings(), {name: value})
