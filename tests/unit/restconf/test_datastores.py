"""The datastores of NMDA (RFC 8527): what each holds, where configuration comes from, where actions are invoked."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest
from flask.testing import FlaskClient
from lxml import etree

from nms.model.edit import at
from nms.model.load import load
from nms.model.path import parse_path
from nms.model.schema import Schema
from tests.unit.restconf.conftest import MODELS
from tests.unit.restconf.depot import STOCK, XML, error, send
from tests.unit.restconf.recording_core import RecordingCore

DS = "/restconf/ds/ietf-datastores:"
ORIGIN = "{urn:ietf:params:xml:ns:yang:ietf-origin}origin"


@pytest.fixture(scope="module")
def schema() -> Schema:
    return load([MODELS], ["depot", "ietf-datastores", "ietf-origin"])


@pytest.fixture
def core(schema: Schema) -> Iterator[RecordingCore]:
    core = RecordingCore(schema, STOCK)
    yield core
    core.core.close()


def test_what_nobody_configured_comes_from_the_system(client: FlaskClient, core: RecordingCore) -> None:
    for leaf, value in (("size", 3), ("load", 9)):
        path = parse_path(core.schema, f"/depot:depot/bay[name='own']/{leaf}")
        core.core.store.publish([at(path, "merge", value, parents="merge")])
    shown = client.get(f"{DS}operational/depot:depot?with-origin&fields=bay")
    depot = orjson.loads(shown.data)["depot:depot"]
    assert depot["@"] == {"ietf-origin:origin": "ietf-origin:intended"}
    bays = {bay["name"]: bay for bay in depot["bay"]}
    assert "@" not in bays["a"]
    assert bays["own"] == {
        "@": {"ietf-origin:origin": "ietf-origin:system"}, "name": "own", "size": 3, "load": "9",
    }  # fmt: skip
    assert client.get(f"{DS}running/depot:depot/bay=own").status_code == 404


def test_origins_of_values_in_xml_and_of_defaults(client: FlaskClient) -> None:
    answer = client.get(
        f"{DS}operational/depot:depot/bay=a?with-origin&with-defaults=report-all", headers={"Accept": XML}
    )
    bay = etree.fromstring(answer.data)
    assert {etree.QName(leaf).localname: leaf.get(ORIGIN) for leaf in bay} == {
        "name": None, "size": None, "label": None,
    }  # fmt: skip
    assert bay.get(ORIGIN) == "or:intended"
    other = etree.fromstring(
        client.get(
            f"{DS}operational/depot:depot/bay=b%2Fc?with-origin&with-defaults=report-all", headers={"Accept": XML}
        ).data
    )
    assert other.findtext("{*}size") == "10"
    size = other.find("{*}size")
    assert size is not None
    assert size.get(ORIGIN) == "or:default"
    motto = client.get(f"{DS}operational/depot:motto?with-origin")
    assert orjson.loads(motto.data) == {
        "depot:motto": "none", "@depot:motto": {"ietf-origin:origin": "ietf-origin:default"},
    }  # fmt: skip


def test_leaf_list_values_have_their_annotations_side_by_side(client: FlaskClient, core: RecordingCore) -> None:
    shown = client.get(f"{DS}operational/depot:depot/shift?with-origin")
    mark = {"ietf-origin:origin": "ietf-origin:intended"}
    assert orjson.loads(shown.data) == {"depot:shift": ["early", "late"], "@depot:shift": [mark, mark]}


def test_actions_are_invoked_in_operational(client: FlaskClient, core: RecordingCore) -> None:
    core.answers["sweep"] = (4,)
    for datastore in ("operational", "running", "intended", "candidate"):
        target = f"{DS}{datastore}/depot:depot/bay=a/sweep"
        answer = send(client, "POST", target, {"depot:input": {"hard": True}})
        if datastore == "operational":
            assert orjson.loads(answer.data) == {"depot:output": {"dust": 4}}
        else:
            assert (answer.status_code, answer.headers["Allow"]) == (405, "OPTIONS")


def test_each_datastore_has_its_own_tags(client: FlaskClient, core: RecordingCore) -> None:
    name = "depot:depot/name"
    before = {store: client.get(f"{DS}{store}/{name}").headers["ETag"] for store in ("running", "candidate")}
    changed = send(client, "PUT", f"{DS}candidate/{name}", {"depot:name": "draft"}, If_Match=before["candidate"])
    assert changed.status_code == 204
    assert client.get(f"{DS}candidate/{name}").headers["ETag"] != before["candidate"]
    assert client.get(f"{DS}running/{name}").headers["ETag"] == before["running"]
    assert core.config["depot:depot"]["name"] == "north"
    late = send(client, "DELETE", f"{DS}candidate/{name}", If_Match=before["candidate"])
    assert (late.status_code, error(late)["error-tag"]) == (412, "operation-failed")
    assert send(client, "DELETE", f"{DS}candidate/{name}").status_code == 204
    assert client.get(f"{DS}candidate/{name}").status_code == 404


def test_state_is_in_operational_only(client: FlaskClient, core: RecordingCore) -> None:
    core.core.store.publish([at(parse_path(core.schema, "/depot:stats/depot:visits"), "merge", 3, parents="merge")])
    assert orjson.loads(client.get(f"{DS}operational/depot:stats").data) == {"depot:stats": {"visits": 3}}
    assert client.get("/restconf/ds/ietf-datastores%3Aoperational/depot%3Astats").status_code == 200
    assert client.get("/restconf%2Fdata/depot:depot").status_code == 404
    for path in ("depot:stats", "depot:stats/visits", "depot:depot/bay=a/load"):
        assert client.get(f"{DS}running/{path}").status_code == 404
