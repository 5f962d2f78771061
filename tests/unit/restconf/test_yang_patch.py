"""YANG Patch (RFC 8072) and conditional requests against the datastore: what is kept, and who may."""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from nms.model.load import load
from nms.operations.request import EditConfig
from restconf import yang_patch
from restconf.app import create_app
from tests.unit.restconf.conftest import MODELS, authenticate
from tests.unit.restconf.depot import STOCK, depot, send
from tests.unit.restconf.recording_core import RecordingCore

PATCH = "application/yang-patch+json"
DEPOT = "/restconf/data/depot:depot"


def patch(*edits: dict[str, Any], patch_id: str = "p") -> dict[str, Any]:
    return {"ietf-yang-patch:yang-patch": {"patch-id": patch_id, "edit": list(edits)}}


def edit(edit_id: str, operation: str, target: str, **more: Any) -> dict[str, Any]:
    return {"edit-id": edit_id, "operation": operation, "target": target} | more


def bay(name: str, **more: Any) -> dict[str, Any]:
    return {"depot:bay": [{"name": name} | more]}


def status(response: Any) -> dict[str, Any]:
    found = orjson.loads(response.data)["ietf-yang-patch:yang-patch-status"]
    assert isinstance(found, dict)
    return found


def test_all_edits_are_one_transaction(client: FlaskClient, stocked: RecordingCore) -> None:
    txid = stocked.core.store.txid
    edits = [edit(str(n), "create", f"/bay=n{n}", value=bay(f"n{n}")) for n in range(20)]
    assert send(client, "PATCH", DEPOT, patch(*edits), Content_Type=PATCH).status_code == 200
    assert len(depot(stocked)["bay"]) == 22
    assert stocked.core.store.txid == txid + 1
    request = stocked.requests[-1]
    assert isinstance(request, EditConfig)
    assert len(request.edits) == 20


def test_nothing_is_kept_when_one_fails(client: FlaskClient, stocked: RecordingCore) -> None:
    before = stocked.root
    edits = [
        edit("1", "create", "/bay=new", value=bay("new")),
        edit("2", "remove", "/bay=a"),
        edit("3", "delete", "/bay=a"),
        edit("4", "create", "/bay=later", value=bay("later")),
    ]
    response = send(client, "PATCH", DEPOT, patch(*edits), Content_Type=PATCH)
    assert response.status_code == 409
    *done, failed = status(response)["edit-status"]["edit"]
    assert done == [{"edit-id": "1", "ok": [None]}, {"edit-id": "2", "ok": [None]}]
    assert (failed["edit-id"], failed["errors"]["error"][0]["error-tag"]) == ("3", "data-missing")
    assert stocked.root is before


def test_who_may_not_write_is_told_at_which_edit() -> None:
    guarded = RecordingCore(load([MODELS], ["depot", "ietf-netconf-acm"]), STOCK)
    app = create_app(guarded, authenticate)
    edits = patch(edit("1", "merge", "/name", value={"depot:name": "north"}), edit("2", "remove", "/bay=a"))
    response = send(app.test_client(), "PATCH", DEPOT, edits, Content_Type=PATCH, X_User="eve")
    *_, failed = status(response)["edit-status"]["edit"]
    assert (response.status_code, failed["edit-id"]) == (403, "2")
    assert failed["errors"]["error"][0]["error-tag"] == "access-denied"
    assert len(depot(guarded)["bay"]) == 2
    app.extensions["restconf"].close()
    guarded.core.close()


def test_the_answer_is_in_the_encoding_that_is_accepted(client: FlaskClient, stocked: RecordingCore) -> None:
    response = send(
        client, "PATCH", DEPOT, patch(edit("1", "remove", "/name")), Content_Type=PATCH,
        Accept="application/yang-data+xml",
    )  # fmt: skip
    root = etree.fromstring(response.data)
    assert [child.tag for child in root] == [f"{{{yang_patch.NAMESPACE}}}patch-id", f"{{{yang_patch.NAMESPACE}}}ok"]


def test_its_precondition_is_about_the_target_resource(client: FlaskClient, stocked: RecordingCore) -> None:
    tag = client.get(f"{DEPOT}/bay=a").headers["ETag"]
    send(client, "PUT", f"{DEPOT}/name", {"depot:name": "elsewhere"})
    one = patch(edit("1", "merge", "/size", value={"depot:size": 9}))
    first = send(client, "PATCH", f"{DEPOT}/bay=a", one, Content_Type=PATCH, If_Match=tag)
    assert (first.status_code, status(first)["ok"]) == (200, [None])
    assert first.headers["ETag"] == client.get(f"{DEPOT}/bay=a").headers["ETag"] != tag
    assert send(client, "PATCH", f"{DEPOT}/bay=a", one, Content_Type=PATCH, If_Match=tag).status_code == 412


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"ietf-yang-patch:yang-patch": []}',
        '{"ietf-yang-patch:yang-patch": {"patch-id": 1}}',
        '{"ietf-yang-patch:yang-patch": {"patch-id": "p", "edit": {}}}',
        '{"ietf-yang-patch:yang-patch": {"patch-id": "p", "edit": [1]}}',
        '{"ietf-yang-patch:yang-patch": {"patch-id": "p", "edit": [{"edit-id": "1"}]}}',
        '{"ietf-yang-patch:yang-patch": {"patch-id": "p", "colour": "red"}}',
        orjson.dumps(patch(edit("1", "merge", "/name", value=5))),
        orjson.dumps(patch(edit("1", "merge", "name", value={}))),
        orjson.dumps(patch(edit("1", "merge", "/bay", value={"depot:bay": []}))),
        orjson.dumps(patch(edit("1", "remove", "/bay=a", where="first"))),
        orjson.dumps(patch(edit("1", "remove", "/bay=a", value={"depot:bay": []}))),
        orjson.dumps(patch(edit("1", "move", "/step=one", where="up"))),
        orjson.dumps(patch(edit("1", "move", "/step=one", where="before", point="/shift=early"))),
        orjson.dumps(patch(edit("1", "move", "/step=one", where="last", point="/step=two"))),
        orjson.dumps(patch(edit("1", "merge", "/", value={"depot:name": "x"}))),
        orjson.dumps(patch(edit("1", "remove", "/bay=a/name"))),
        orjson.dumps(patch(edit("1", "merge", "/bay=a/name", value={"depot:name": "z"}))),
        orjson.dumps(patch(edit("1", "merge", "/bay=a/load", value={"depot:load": "1"}))),
        orjson.dumps(patch(edit("1", "merge", "/watch/round=x", value={"depot:round": [{"at": "x", "seen": {}}]}))),
        orjson.dumps(patch(edit("1", "remove", "/bay=a/sweep"))),
    ],
)
def test_what_is_no_patch(client: FlaskClient, stocked: RecordingCore, body: str | bytes) -> None:
    before = stocked.root
    response = client.patch(DEPOT, data=body, headers={"Content-Type": PATCH})
    assert (response.status_code, response.mimetype) == (400, "application/yang-data+json")
    assert stocked.root is before


@pytest.mark.parametrize(
    "edits",
    [
        "<edit><edit-id>1</edit-id><operation>remove</operation><target>/name</target><target>/bay</target></edit>",
        "<edit><edit-id>1</edit-id><operation>remove</operation></edit>",
        "<edit><edit-id>1</edit-id><operation>merge</operation><target>/name</target><value/></edit>",
        "<edit><edit-id>1</edit-id><operation>merge</operation><target>/name</target><value><a/><b/></value></edit>",
        "<other/>",
    ],
)
def test_what_is_no_patch_in_xml(client: FlaskClient, stocked: RecordingCore, edits: str) -> None:
    before = stocked.root
    body = f"<yang-patch xmlns='{yang_patch.NAMESPACE}'><patch-id>p</patch-id>{edits}</yang-patch>"
    response = client.patch(DEPOT, data=body, headers={"Content-Type": "application/yang-patch+xml"})
    assert (response.status_code, response.mimetype) == (400, "application/yang-data+xml")
    assert stocked.root is before


_NAMES = st.sampled_from(["one", "two", "three", "a/b,c"])
_OPERATIONS = st.sampled_from(["create", "delete", "merge", "replace", "remove", "insert", "move"])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(_OPERATIONS, _NAMES, st.sampled_from(["first", "last", "before", "after"]), _NAMES)))
def test_a_patch_is_its_edits_one_by_one_or_nothing(
    client: FlaskClient, core: RecordingCore, steps: list[tuple[str, str, str, str]]
) -> None:
    def reset() -> Any:
        assert send(client, "PUT", "/restconf/data", {"ietf-restconf:data": STOCK}).status_code == 204
        return core.config

    def one(operation: str, name: str, where: str, beside: str) -> dict[str, Any]:
        more: dict[str, Any] = {}
        if operation in ("create", "merge", "replace", "insert"):
            more["value"] = {"depot:step": [{"id": name}]}
        if operation in ("insert", "move"):
            more["where"] = where
            if where in ("before", "after"):
                more["point"] = f"/step={quote(beside, safe='')}"
        return edit("", operation, f"/step={quote(name, safe='')}", **more)

    edits = [one(*step) | {"edit-id": str(number)} for number, step in enumerate(steps)]
    before = reset()
    whole = send(client, "PATCH", DEPOT, patch(*edits), Content_Type=PATCH)
    together = core.config
    reset()
    alone = [send(client, "PATCH", DEPOT, patch(each), Content_Type=PATCH).status_code for each in edits]
    failing = next((number for number, code in enumerate(alone) if code != 200), None)
    if failing is None:
        assert (whole.status_code, together) == (200, core.config)
    else:
        assert (whole.status_code, together) == (alone[failing], before)
        assert status(whole)["edit-status"]["edit"][-1]["edit-id"] == str(failing)


def test_of_those_who_saw_the_same_only_one_writes(client: FlaskClient, stocked: RecordingCore) -> None:
    """The precondition is tested under the writer lock: no increment is lost."""
    size = f"{DEPOT}/bay=a/size"
    send(client, "PUT", size, {"depot:size": 1})
    app = client.application
    refused = []

    def count() -> None:
        own = app.test_client()
        for _ in range(5):
            while True:
                seen = own.get(size)
                value = orjson.loads(seen.data)["depot:size"] + 1
                sent = send(own, "PUT", size, {"depot:size": value}, If_Match=seen.headers["ETag"])
                if sent.status_code == 204:
                    break
                assert sent.status_code == 412
                refused.append(1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert depot(stocked)["bay"][0]["size"] == 21
