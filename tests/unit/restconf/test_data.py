"""The datastore and data resources: each method, both encodings, the reply and the datastore."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from lxml import etree

from restconf import body as bodies
from tests.unit.restconf.depot import BAY, JSON, XML, depot, error, held, send
from tests.unit.restconf.recording_core import RecordingCore


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/bay=a", {"depot:bay": [{"name": "a", "size": 5, "label": ["x", "y"]}]}),
        ("/bay=b%2Fc", {"depot:bay": [{"name": "b/c"}]}),
        ("/bay=a/size", {"depot:size": 5}),
        ("/bay=a/label=x", {"depot:label": ["x"]}),
        ("/bay=a/label", {"depot:label": ["x", "y"]}),
        ("/slot=1,l", {"depot:slot": [{"row": 1, "column": "l", "held": "box"}]}),
        ("/step", {"depot:step": [{"id": "one"}, {"id": "two"}]}),
    ],
)
def test_get_json(client: FlaskClient, stocked: RecordingCore, path: str, expected: Any) -> None:
    response = client.get(f"/restconf/data/depot:depot{path}")
    assert (response.status_code, response.mimetype, orjson.loads(response.data)) == (200, JSON, expected)
    assert response.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/bay=b%2Fc", '<bay xmlns="urn:depot"><name>b/c</name></bay>'),
        ("/bay=a/size", '<size xmlns="urn:depot">5</size>'),
        ("/bay=a/label=x", '<label xmlns="urn:depot">x</label>'),
        ("/slot", '<slot xmlns="urn:depot"><row>1</row><column>l</column><held>box</held></slot>'),
    ],
)
def test_get_xml(client: FlaskClient, stocked: RecordingCore, path: str, expected: str) -> None:
    response = client.get(f"/restconf/data/depot:depot{path}", headers={"Accept": XML})
    assert (response.status_code, response.mimetype, response.text) == (200, XML, expected)


def test_get_datastore(client: FlaskClient, stocked: RecordingCore) -> None:
    response = client.get("/restconf/data")
    assert orjson.loads(response.data) == {"ietf-restconf:data": held(stocked)}
    root = etree.fromstring(client.get("/restconf/data", headers={"Accept": XML}).data)
    assert root.tag == "{urn:ietf:params:xml:ns:yang:ietf-restconf}data"
    assert root.findtext("{urn:depot}depot/{urn:depot}name") == "north"


def test_several_instances_are_not_for_xml(client: FlaskClient, stocked: RecordingCore) -> None:
    response = client.get(BAY, headers={"Accept": XML})
    assert (response.status_code, error(response)["error-tag"]) == (400, "invalid-value")


def test_get_missing(client: FlaskClient, stocked: RecordingCore) -> None:
    for path in ("/bay=zz", "/bay=a/colour", "/bay=a/door", "/nothing"):
        response = client.get(f"/restconf/data/depot:depot{path}")
        assert (response.status_code, error(response)["error-tag"]) == (404, "invalid-value")


def test_empty_container_is_there(client: FlaskClient, core: RecordingCore) -> None:
    response = client.get("/restconf/data/depot:depot")
    assert (response.status_code, orjson.loads(response.data)) == (200, {"depot:depot": {}})


def test_defaults_in_use_are_there(client: FlaskClient, stocked: RecordingCore) -> None:
    for path, expected in (
        ("/depot:motto", {"depot:motto": "none"}),
        ("/depot:depot/bay=b%2Fc/size", {"depot:size": 10}),
    ):
        response = client.get(f"/restconf/data{path}")
        assert (response.status_code, orjson.loads(response.data)) == (200, expected)
    assert client.get("/restconf/data/depot:depot/bay=zz/size").status_code == 404


def test_head_is_get_without_body(client: FlaskClient, stocked: RecordingCore) -> None:
    get, head = client.get(f"{BAY}=a"), client.head(f"{BAY}=a")
    assert head.data == b""
    assert head.headers["Content-Length"] == str(len(get.data))
    assert head.headers["ETag"] == get.headers["ETag"]


def test_parameters_reach_the_core(client: FlaskClient, stocked: RecordingCore) -> None:
    client.get(f"{BAY}=a?depth=2&content=config&with-defaults=report-all&fields=size")
    request: Any = stocked.requests[-1]
    assert (request.depth, request.content, request.with_defaults) == (2, "config", "report-all")
    assert request.filter.fields == "size"


# ---------------------------------------------------------------- OPTIONS and 405


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("", "GET, HEAD, OPTIONS, PATCH, POST, PUT"),
        ("/depot:depot", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
        ("/depot:depot/bay=a", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
        ("/depot:depot/bay", "GET, HEAD, OPTIONS"),
        ("/depot:depot/bay=a/name", "GET, HEAD, OPTIONS"),
        ("/depot:depot/bay=a/load", "GET, HEAD, OPTIONS"),
        ("/depot:depot/bay=a/size", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("/depot:depot/bay=a/sweep", "OPTIONS, POST"),
    ],
)
def test_options_and_what_is_not_among_them(client: FlaskClient, stocked: RecordingCore, path: str, allow: str) -> None:
    response = client.options(f"/restconf/data{path}")
    assert (response.status_code, response.headers["Allow"]) == (204, allow)
    assert ("Accept-Patch" in response.headers) == ("PATCH" in allow)
    before = held(stocked)
    for method in {"GET", "PUT", "PATCH", "DELETE", "POST"} - set(allow.split(", ")):
        refused = send(client, method, f"/restconf/data{path}", {})
        assert (refused.status_code, refused.headers["Allow"]) == (405, allow)
        assert error(refused)["error-tag"] == "operation-not-supported"
    assert held(stocked) == before


# ---------------------------------------------------------------- POST


def test_post_creates(client: FlaskClient, stocked: RecordingCore) -> None:
    response = send(client, "POST", "/restconf/data/depot:depot", {"depot:bay": [{"name": "n/1", "size": 7}]})
    assert response.status_code == 201
    assert response.headers["Location"] == "http://localhost/restconf/data/depot:depot/bay=n%2F1"
    assert "Content-Type" not in response.headers
    assert {"name": "n/1", "size": 7} in depot(stocked)["bay"]
    assert client.get(response.headers["Location"]).status_code == 200


def test_post_xml_with_a_node_of_another_module(client: FlaskClient, stocked: RecordingCore) -> None:
    body = '<?xml version="1.0" encoding="UTF-8"?>\n<!-- up --><crane xmlns="urn:depot:extra">big</crane>'
    response = send(client, "POST", f"{BAY}=a", body)
    assert response.status_code == 201
    assert response.headers["Location"].endswith("/bay=a/depot-extra:crane")
    assert depot(stocked)["bay"][0]["depot-extra:crane"] == "big"


def test_post_on_the_datastore_creates_a_top_level_node(client: FlaskClient, core: RecordingCore) -> None:
    response = send(client, "POST", "/restconf/data", {"depot:motto": "more"})
    assert (response.status_code, held(core)) == (201, {"depot:motto": "more"})
    again = send(client, "POST", "/restconf/data", {"depot:motto": "less"})
    assert (again.status_code, error(again)["error-tag"], held(core)) == (409, "data-exists", {"depot:motto": "more"})


def test_post_leaf_list_entry(client: FlaskClient, stocked: RecordingCore) -> None:
    response = send(client, "POST", f"{BAY}=a", {"depot:label": ["z z"]})
    assert response.headers["Location"].endswith("/bay=a/label=z%20z")
    assert depot(stocked)["bay"][0]["label"] == ["x", "y", "z z"]


@pytest.mark.parametrize(
    ("query", "order"),
    [
        ("insert=first", ["new", "one", "two"]),
        ("insert=last", ["one", "two", "new"]),
        ("insert=after&point=/depot:depot/step=one", ["one", "new", "two"]),
        ("insert=before&point=%2Fdepot:depot%2Fstep%3Done", ["new", "one", "two"]),
        ("insert=before&point=/depot:depot/step=two", ["one", "new", "two"]),
    ],
)
def test_post_inserts(client: FlaskClient, stocked: RecordingCore, query: str, order: list[str]) -> None:
    response = send(client, "POST", f"/restconf/data/depot:depot?{query}", {"depot:step": [{"id": "new"}]})
    assert (response.status_code, [step["id"] for step in depot(stocked)["step"]]) == (201, order)


def test_put_moves_an_entry(client: FlaskClient, stocked: RecordingCore) -> None:
    response = send(client, "PUT", "/restconf/data/depot:depot/step=two?insert=first", {"depot:step": [{"id": "two"}]})
    assert (response.status_code, [step["id"] for step in depot(stocked)["step"]]) == (204, ["two", "one"])


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("insert=first", {"depot:bay": [{"name": "n"}]}),  # ordered-by system
        ("insert=after&point=/depot:depot/step=zz", {"depot:step": [{"id": "n"}]}),
        ("insert=after&point=/depot:depot/bay=a", {"depot:step": [{"id": "n"}]}),
        ("insert=after&point=/depot:depot/step", {"depot:step": [{"id": "n"}]}),
        ("insert=after&point=nonsense", {"depot:step": [{"id": "n"}]}),
        ("depth=1", {"depot:step": [{"id": "n"}]}),
    ],
)
def test_post_with_wrong_parameters(client: FlaskClient, stocked: RecordingCore, query: str, body: Any) -> None:
    before = held(stocked)
    assert send(client, "POST", f"/restconf/data/depot:depot?{query}", body).status_code == 400
    assert held(stocked) == before


# ---------------------------------------------------------------- PUT, PATCH, DELETE


def test_put_creates_then_replaces(client: FlaskClient, stocked: RecordingCore) -> None:
    created = send(client, "PUT", f"{BAY}=n", {"depot:bay": [{"name": "n", "size": 3, "label": ["q"]}]})
    assert (created.status_code, created.headers["Location"]) == (201, f"http://localhost{BAY}=n")
    replaced = send(client, "PUT", f"{BAY}=n", '<bay xmlns="urn:depot"><name>n</name></bay>')
    assert (replaced.status_code, replaced.data) == (204, b"")
    assert depot(stocked)["bay"][-1] == {"name": "n"}


def test_put_leaf_and_container(client: FlaskClient, stocked: RecordingCore) -> None:
    assert send(client, "PUT", f"{BAY}=a/size", {"depot:size": 9}).status_code == 204
    assert send(client, "PUT", f"{BAY}=a/door", {"depot:door": {}}).status_code == 201
    assert depot(stocked)["bay"][0] == {"name": "a", "size": 9, "label": ["x", "y"], "door": {}}


def test_put_on_the_datastore_replaces_everything(client: FlaskClient, stocked: RecordingCore) -> None:
    response = send(client, "PUT", "/restconf/data", {"ietf-restconf:data": {"depot:motto": "anew"}})
    assert (response.status_code, held(stocked)) == (204, {"depot:motto": "anew"})


def test_patch_merges(client: FlaskClient, stocked: RecordingCore) -> None:
    body = '<bay xmlns="urn:depot" xmlns:c="urn:depot"><name>a</name><colour>c:red</colour><label>z</label></bay>'
    assert send(client, "PATCH", f"{BAY}=a", body).status_code == 204
    assert depot(stocked)["bay"][0] == {"name": "a", "size": 5, "colour": "depot:red", "label": ["x", "y", "z"]}
    assert send(client, "PATCH", "/restconf/data", {"ietf-restconf:data": {"depot:motto": "m"}}).status_code == 204
    assert held(stocked)["depot:motto"] == "m"
    assert depot(stocked)["name"] == "north"


def test_patch_of_a_leaf(client: FlaskClient, stocked: RecordingCore) -> None:
    assert send(client, "PATCH", f"{BAY}=a/size", {"depot:size": 8}).status_code == 204
    assert send(client, "PATCH", f"{BAY}=b%2Fc/size", {"depot:size": 8}).status_code == 204  # there by its default
    assert send(client, "PATCH", f"{BAY}=a/colour", {"depot:colour": "red"}).status_code == 404
    assert [bay.get("size") for bay in depot(stocked)["bay"]] == [8, 8]
    assert "colour" not in depot(stocked)["bay"][0]


def test_patch_never_creates(client: FlaskClient, stocked: RecordingCore) -> None:
    before = held(stocked)
    for path, body in (
        (f"{BAY}=n", {"depot:bay": [{"name": "n"}]}),
        (f"{BAY}=n", {"depot:bay": [{"name": "n", "size": 3}]}),
        (f"{BAY}=a/door", {"depot:door": {"open": True}}),
    ):
        response = send(client, "PATCH", path, body)
        assert (response.status_code, error(response)["error-tag"]) == (404, "invalid-value")
    assert held(stocked) == before


def test_nothing_is_made_above_the_target(client: FlaskClient, stocked: RecordingCore) -> None:
    before = held(stocked)
    for method, path, body in (
        ("POST", f"{BAY}=n", {"depot:size": 3}),
        ("PUT", f"{BAY}=n/size", {"depot:size": 3}),
        ("PATCH", f"{BAY}=n/size", {"depot:size": 3}),
        ("DELETE", f"{BAY}=n/size", None),
    ):
        assert send(client, method, path, body).status_code == 404
    assert held(stocked) == before


def test_delete(client: FlaskClient, stocked: RecordingCore) -> None:
    assert client.delete(f"{BAY}=a/label=x").status_code == 204
    assert client.delete(f"{BAY}=b%2Fc").status_code == 204
    assert depot(stocked)["bay"] == [{"name": "a", "size": 5, "label": ["y"]}]
    again = client.delete(f"{BAY}=b%2Fc")
    assert (again.status_code, error(again)["error-tag"]) == (404, "invalid-value")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/bay=a", {"depot:bay": [{"name": "other"}]}),
        ("/bay=a", {"depot:bay": [{"name": "a"}, {"name": "b"}]}),
        ("/bay=a", {"depot:bay": []}),
        ("/bay=a", {"depot:name": "north"}),
        ("/bay=a/label=x", {"depot:label": ["w"]}),
        ("/bay=a/size", {"depot:size": 101}),
        ("/bay=a/size", {"depot:size": "7"}),
        ("/bay=a", {"depot:bay": [{"name": "a", "unknown": 1}]}),
        ("/bay=a", {"bay": [{"name": "a"}]}),
        ("/bay=a", [1]),
        ("/bay=a", "{"),
        ("/bay=a", b"\xff\xfe"),
        ("/bay=a", "[" * 100_000),
        ("/bay=a", '{"depot:notes":' * 300 + "1" + "}" * 300),
        ("/bay=a", '{"depot:notes":' * 990 + "1" + "}" * 990),
        ("/bay=a", '{"depot:bay": [{"name": "a", "size": 1, "size": 2}]}'),
        ("/bay=a", '{"depot:bay": [{"name": "a", "size": 1e0, "size": 100000.0}]}'),
        ("/bay=a", ""),
        ("/bay=a", "<bay"),
        ("/bay=a", "<bay xmlns='urn:depot'/><bay xmlns='urn:depot'/>"),
        ("/bay=a", "<!DOCTYPE bay [<!ENTITY e 'x'>]><bay xmlns='urn:depot'><name>&e;</name></bay>"),
        ("/bay=a", "<bay xmlns='urn:depot'><name>&lol;</name></bay>"),
        ("/bay=a", "<bay xmlns='urn:nowhere'><name>a</name></bay>"),
        ("/bay=a", '<?xml version="1.0" encoding="UTF-16"?><bay xmlns="urn:depot"><name>a</name></bay>'),
        ("/bay=a", "</body><body>"),
        ("/bay=a", "<a>" * 10_000),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_wrong_bodies(client: FlaskClient, stocked: RecordingCore, method: str, path: str, body: Any) -> None:
    before = held(stocked)
    response = send(client, method, f"/restconf/data/depot:depot{path}", body)
    assert response.status_code == 400, response.text
    assert error(response)["error-message"]
    assert held(stocked) == before


@pytest.mark.parametrize(
    "body",
    [
        {"depot:watch": {"round": [{"at": "noon"}, {"at": "dusk", "seen": {}}]}},
        {"depot:watch": {"round": [{"at": "dusk", "seen": {"who": "a cat"}}]}},
        "<watch xmlns='urn:depot'><post/><round><at>dusk</at><seen/></round></watch>",
        "<watch xmlns='urn:depot'><round><at>dusk</at><seen>\n</seen></round></watch>",
    ],
)
def test_state_is_not_configured_even_when_it_is_empty(client: FlaskClient, core: RecordingCore, body: Any) -> None:
    for method, path in (("PUT", "/restconf/data/depot:depot/watch"), ("POST", "/restconf/data/depot:depot")):
        response = send(client, method, path, body)
        assert (response.status_code, error(response)["error-tag"]) == (400, "invalid-value")
        assert "/depot:seen" in error(response)["error-path"]
    assert held(core) == {}


def test_error_paths_start_at_the_datastore(client: FlaskClient, stocked: RecordingCore) -> None:
    expected = "/depot:depot/depot:bay[depot:name='a']/depot:size"
    as_json = send(client, "PUT", f"{BAY}=a", {"depot:bay": [{"name": "a", "size": 101}]})
    as_xml = send(client, "PUT", f"{BAY}=a", '<bay xmlns="urn:depot"><name>a</name><size>101</size></bay>')
    assert (error(as_json)["error-path"], error(as_xml)["error-path"]) == (expected, expected)
    (item,) = etree.fromstring(as_xml.data)
    path = item.find("{*}error-path")
    assert path is not None
    assert path.nsmap["depot"] == "urn:depot"


def test_media_types_refused(client: FlaskClient, stocked: RecordingCore) -> None:
    before = held(stocked)
    patches = f"{JSON}, {XML}, application/yang-patch+json, application/yang-patch+xml"
    for media in ("text/plain", "application/json-patch+json"):
        response = client.patch(f"{BAY}=a", data="{}", headers={"Content-Type": media})
        assert (response.status_code, response.headers["Accept-Patch"]) == (415, patches)
    assert send(client, "PUT", f"{BAY}=a", "{}", Content_Type="application/yang-patch+json").status_code == 415
    assert client.get(f"{BAY}=a", headers={"Accept": "text/html"}).status_code == 406
    assert held(stocked) == before


@pytest.mark.parametrize("encoding", ["json", "xml"])
def test_more_parts_than_memory_should_hold_are_refused(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.setattr(bodies, "MAX_PARTS", 10)
    content = '{"depot:depot": [' + "0," * 10 + "0]}" if encoding == "json" else "<a/>" * 11
    headers = {"Content-Type": f"application/yang-data+{encoding}", "Accept": "application/yang-data+json"}
    assert client.patch("/restconf/data/depot:depot", data=content, headers=headers).status_code == 413
