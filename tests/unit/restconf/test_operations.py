"""Operation resources: the list, rpcs, actions."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from lxml import etree

from nms.errors import RpcError
from nms.model.path import format_path
from tests.unit.restconf.recording_core import RecordingCore

JSON, XML = "application/yang-data+json", "application/yang-data+xml"
COUNT = "/restconf/operations/depot:count"


def test_list(client: FlaskClient) -> None:
    as_json = client.get("/restconf/operations")
    assert orjson.loads(as_json.data) == {"ietf-restconf:operations": {"depot:close": [None], "depot:count": [None]}}
    root = etree.fromstring(client.get("/restconf/operations", headers={"Accept": XML}).data)
    assert [child.tag for child in root] == ["{urn:depot}close", "{urn:depot}count"]


@pytest.mark.parametrize(
    ("body", "media"),
    [
        ('{"depot:input":{"what":"é"}}', JSON),
        ('<input xmlns="urn:depot"><what>é</what></input>', XML),
    ],
)
def test_rpc(client: FlaskClient, core: RecordingCore, body: str, media: str) -> None:
    core.answers["count"] = (12,)
    for accept, expected in (
        (JSON, '{"depot:output":{"total":"12"}}'),
        (XML, '<output xmlns="urn:depot"><total xmlns="urn:depot">12</total></output>'),
    ):
        response = client.post(COUNT, data=body, headers={"Content-Type": media, "Accept": accept})
        assert (response.status_code, response.mimetype, response.text) == (200, accept, expected)
    request: Any = core.requests[-1]
    assert (request.node.name, request.input, request.path) == ("count", ("é",), ())


def test_rpc_without_input_or_output(client: FlaskClient, core: RecordingCore) -> None:
    core.answers["close"] = ()
    response = client.post("/restconf/operations/depot:close")
    assert (response.status_code, response.data) == (204, b"")


def test_action(client: FlaskClient, core: RecordingCore) -> None:
    core.answers["sweep"] = (3,)
    assert (
        client.put(
            "/restconf/data/depot:depot/bay=a%2Fb",
            data='{"depot:bay":[{"name":"a/b"}]}',
            headers={"Content-Type": JSON},
        ).status_code
        == 201
    )
    response = client.post(
        "/restconf/data/depot:depot/bay=a%2Fb/sweep",
        data='{"depot:input":{"hard":true}}',
        headers={"Content-Type": JSON},
    )
    assert (response.status_code, response.text) == (200, '{"depot:output":{"dust":3}}')
    request: Any = core.requests[-1]
    assert (request.node.kind, request.input) == ("action", (True,))
    assert format_path(request.path) == "/depot:depot/depot:bay[depot:name='a/b']"


@pytest.mark.parametrize(
    ("path", "body", "media", "status"),
    [
        (COUNT, '{"depot:input":{"what":5}}', JSON, 400),
        (COUNT, '{"depot:input":{"other":"x"}}', JSON, 400),
        (COUNT, '{"input":{"what":"x"}}', JSON, 400),
        (COUNT, '{"depot:output":{"total":"1"}}', JSON, 400),
        (COUNT, '<input xmlns="urn:other"/>', XML, 400),
        (COUNT, "x", "text/plain", 415),
        (COUNT + "?depth=1", '{"depot:input":{"what":"x"}}', JSON, 400),
        ("/restconf/operations/depot:nothing", "{}", JSON, 404),
        ("/restconf/operations/count", "{}", JSON, 400),
    ],
)
def test_refusals(client: FlaskClient, core: RecordingCore, path: str, body: str, media: str, status: int) -> None:
    response = client.post(path, data=body, headers={"Content-Type": media})
    assert response.status_code == status
    assert core.requests == []


def test_methods(client: FlaskClient) -> None:
    assert client.options(COUNT).headers["Allow"] == "OPTIONS, POST"
    response = client.get(COUNT)
    assert (response.status_code, response.headers["Allow"]) == (405, "OPTIONS, POST")
    assert client.post("/restconf/operations").status_code == 405


def test_the_errors_of_an_operation_are_rendered(client: FlaskClient, core: RecordingCore) -> None:
    def fail(invoke: object) -> object:
        raise RpcError(
            "resource-denied", "no <room> \x00 left", app_tag="full", path="/depot:motto", info={"bad-element": "x"}
        )

    core.answers["close"] = fail
    as_json = client.post("/restconf/operations/depot:close")
    assert as_json.status_code == 409
    assert orjson.loads(as_json.data)["ietf-restconf:errors"]["error"] == [
        {
            "error-type": "application",
            "error-tag": "resource-denied",
            "error-app-tag": "full",
            "error-path": "/depot:motto",
            "error-message": "no <room> \x00 left",
            "error-info": {"ietf-netconf:bad-element": "x"},
        }
    ]
    as_xml = client.post("/restconf/operations/depot:close", headers={"Accept": XML})
    (item,) = etree.fromstring(as_xml.data)
    assert item.findtext("{*}error-message") == "no <room> ? left"
    assert item.findtext("{*}error-info/{urn:ietf:params:xml:ns:netconf:base:1.0}bad-element") == "x"


def test_api_resource_and_unknown_ones(client: FlaskClient) -> None:
    assert orjson.loads(client.get("/restconf").data) == {
        "ietf-restconf:restconf": {"data": {}, "operations": {}, "yang-library-version": "2019-01-04"}
    }
    version = client.get("/restconf/yang-library-version", headers={"Accept": XML})
    assert etree.fromstring(version.data).text == "2019-01-04"
    for path in ("/", "/restconf/nothing", "/restconf/streams"):
        response = client.get(path)
        assert (response.status_code, response.mimetype) == (404, JSON)
    assert client.get("/.well-known/host-meta.json").get_json() == {"links": [{"rel": "restconf", "href": "/restconf"}]}
    assert client.get("/restconf", headers={"X-User": "nobody"}).status_code == 401
