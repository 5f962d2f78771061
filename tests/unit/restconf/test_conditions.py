"""Entity-tags, times and the requests that depend on them (RFC 8040 section 3.4.1)."""

from __future__ import annotations

import orjson
from flask.testing import FlaskClient

from nms.model.edit import at
from nms.model.path import parse_path
from tests.unit.restconf.depot import BAY, XML, depot, error, held, send
from tests.unit.restconf.recording_core import RecordingCore


def test_entity_tags(client: FlaskClient, stocked: RecordingCore) -> None:
    tag = client.get(f"{BAY}=a").headers["ETag"]
    other = client.get(f"{BAY}=a", headers={"Accept": XML}).headers["ETag"]
    assert tag != other
    configured = f"{BAY}=a?content=config"
    assert client.get(configured, headers={"If-None-Match": f'"zz", {tag}'}).status_code == 304
    assert client.get(f"{BAY}=a", headers={"If-None-Match": '"zz"'}).status_code == 200
    # a tag of either representation speaks of the same resource
    first = send(client, "PUT", f"{BAY}=a/size", {"depot:size": 1}, If_Match=other)
    assert first.status_code == 204
    assert first.headers["ETag"] != tag
    late = send(client, "PUT", f"{BAY}=a/size", {"depot:size": 2}, If_Match=tag)
    assert (late.status_code, error(late)["error-tag"]) == (412, "operation-failed")
    assert depot(stocked)["bay"][0]["size"] == 1


def test_a_change_of_the_datastore_is_about_the_datastore(client: FlaskClient, stocked: RecordingCore) -> None:
    send(client, "PUT", f"{BAY}=a/size", {"depot:size": 1})
    read = client.get("/restconf/data?content=config").headers["ETag"]
    sent = {"ietf-restconf:data": {"depot:motto": "more"}}
    changed = send(client, "PATCH", "/restconf/data", sent, If_Match=read)
    assert (changed.status_code, held(stocked)["depot:motto"]) == (204, "more")
    assert changed.headers["ETag"] == client.get("/restconf/data?content=config").headers["ETag"] != read
    assert send(client, "PATCH", "/restconf/data", sent, If_Match=read).status_code == 412


def test_state_does_not_move_the_tag_of_configuration(client: FlaskClient, stocked: RecordingCore) -> None:
    read = client.get(f"{BAY}=a")
    path = parse_path(stocked.schema, "/depot:depot/bay[name='a']/load")
    stocked.core.store.publish([at(path, "merge", 7)])
    again = client.get(f"{BAY}=a", headers={"If-None-Match": read.headers["ETag"]})
    assert (again.status_code, orjson.loads(again.data)["depot:bay"][0]["load"]) == (200, "7")
    assert again.headers["ETag"] == read.headers["ETag"]
    load = client.get(f"{BAY}=a/load")
    assert client.get(f"{BAY}=a/load", headers={"If-None-Match": load.headers["ETag"]}).status_code == 304
    stocked.core.store.publish([at(path, "merge", 8)])
    assert client.get(f"{BAY}=a/load", headers={"If-None-Match": load.headers["ETag"]}).status_code == 200
    changed = send(
        client, "PUT", f"{BAY}=a/size", {"depot:size": 3}, If_Match=client.get(f"{BAY}=a/size").headers["ETag"]
    )
    assert changed.status_code == 204
    assert (
        send(client, "DELETE", f"{BAY}=b%2Fc", If_Match=client.get(f"{BAY}=b%2Fc").headers["ETag"]).status_code == 204
    )


def test_computed_state_has_no_tag(client: FlaskClient, stocked: RecordingCore) -> None:
    stocked.core.store.add_source("/depot:stats/visits", lambda: 5)
    for path in ("/restconf/data/depot:stats", "/restconf/data/depot:stats/visits"):
        answer = client.get(path, headers={"If-None-Match": "*"})
        assert (answer.status_code, "ETag" in answer.headers) == (200, False)


def test_conditions_of_time_and_absence(client: FlaskClient, stocked: RecordingCore) -> None:
    date = client.get(f"{BAY}=a").headers["Last-Modified"]
    assert client.get(f"{BAY}=a?content=config", headers={"If-Modified-Since": date}).status_code == 304
    early = "Wed, 31 Dec 2025 00:00:00 GMT"
    assert client.get(f"{BAY}=a", headers={"If-Modified-Since": early}).status_code == 200
    for nonsense in ("nonsense", "Mon, 01 Jan 99999999999 00:00:00 GMT"):
        assert client.get(f"{BAY}=a", headers={"If-Modified-Since": nonsense}).status_code == 200
    assert client.delete(f"{BAY}=a", headers={"If-Unmodified-Since": early}).status_code == 412
    assert client.delete(f"{BAY}=a", headers={"If-Match": 'W/"v1"'}).status_code == 412  # weak tags never match here
    assert client.delete(f"{BAY}=a", headers={"If-None-Match": "*"}).status_code == 412
    assert len(depot(stocked)["bay"]) == 2
    assert client.delete(f"{BAY}=a", headers={"If-Unmodified-Since": date}).status_code == 204
    assert len(depot(stocked)["bay"]) == 1
