"""Dynamic subscriptions over HTTP (RFC 8650): establish, get the stream, modify, end; what others and late ones get."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson
import pytest
from lxml import etree

from nms.model import json
from nms.model.edit import at
from nms.model.load import load
from nms.model.path import parse_path
from nms.model.schema import Schema
from nms.operations.dispatch import PROTOCOL_MODULES, Core
from nms.operations.request import EditConfig, Principal
from restconf import subscriptions
from tests.unit.restconf.conftest import MODELS
from tests.unit.restconf.listener import Raw, listening
from tests.unit.restconf.test_sse import event, events, wait_for

SN, YP = "ietf-subscribed-notifications", "ietf-yang-push"
ON_CHANGE = {
    f"{YP}:datastore": "ietf-datastores:running",
    f"{YP}:datastore-xpath-filter": "/depot:depot/depot:bay",
    f"{YP}:on-change": {},
}


@cache
def schema() -> Schema:
    return load([MODELS], ["depot", *PROTOCOL_MODULES])


class Setting:
    def __init__(self, core: Core, address: tuple[str, int]) -> None:
        self.core = core
        self.address = address
        self.admin = core.open_session(Principal("admin", recovery=True), "netconf-ssh", "h", lambda _: None)

    def edit(self, path: str, value: Any) -> None:
        self.core.dispatch(
            self.admin, EditConfig("running", [at(parse_path(schema(), path), "merge", value, parents="merge")])
        )

    def call(self, name: str, content: dict[str, Any], user: str = "ann", module: str = SN) -> tuple[int, Any]:
        """POST of an rpc: status and body."""
        with Raw(self.address) as raw:
            body = orjson.dumps({f"{module}:input": content})
            raw.send(request(user, "POST", f"/restconf/operations/{module}:{name}", "application/yang-data+json", body))
            status, _, answer = raw.answer()
            return status, orjson.loads(answer) if answer else None

    def establish(self, **content: Any) -> str:
        """The path of the stream of a new subscription."""
        status, answer = self.call("establish-subscription", content)
        assert status == 200
        uri = answer[f"{SN}:output"]["ietf-restconf-subscribed-notifications:uri"]
        return str(uri).removeprefix("http://h")

    def present(self) -> Any:
        """/subscriptions, as the core computes it."""
        root = self.core.store.with_sources(self.core.store.operational, lambda route: route[0].name == "subscriptions")
        return json.plain(schema().root, root).get(f"{SN}:subscriptions", {}).get("subscription", [])


def request(user: str, method: str, path: str, media: str = "", body: bytes = b"") -> bytes:
    known = b64encode(f"{user}:secret".encode()).decode()
    length = f"Content-Type: {media}\r\nContent-Length: {len(body)}\r\n" if media else ""
    accept = "application/yang-data+json" if method == "POST" else "text/event-stream"
    head = f"{method} {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Basic {known}\r\nAccept: {accept}\r\n{length}\r\n"
    return head.encode() + body


@pytest.fixture
def setting() -> Iterator[Setting]:
    core = Core.create(schema(), clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    with listening(core) as address:
        yield Setting(core, address)
    core.close()


def notification(raw: Raw) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(event(raw))["ietf-restconf:notification"]
    del found["eventTime"]
    return found


def test_changes_come_as_events(setting: Setting) -> None:
    path = setting.establish(**ON_CHANGE)
    setting.edit("/depot:depot/bay[name='early']/size", 1)
    with Raw(setting.address) as raw:
        raw.send(request("ann", "GET", path))
        assert "Content-Type: text/event-stream" in raw.until(b"\r\n\r\n").decode()
        # what happened before the subscriber came has waited for it
        assert list(names(raw, 2)) == [f"{YP}:push-update", f"{YP}:push-change-update"]
        setting.edit("/depot:depot/bay[name='late']/size", 2)
        patch = notification(raw)[f"{YP}:push-change-update"]["datastore-changes"]["yang-patch"]
        assert patch["edit"] == [
            {
                "edit-id": "edit-1",
                "operation": "create",
                "target": "/depot:depot/bay=late",
                "value": {"depot:bay": [{"name": "late", "size": 2}]},
            }
        ]
        (present,) = setting.present()
        assert present["ietf-restconf-subscribed-notifications:uri"] == f"http://h{path}"
        number = present["id"]
        target = {name: ON_CHANGE[name] for name in list(ON_CHANGE)[:2]}
        assert setting.call("modify-subscription", {"id": number, **target}, "eve")[0] == 404
        assert setting.call("modify-subscription", {"id": number, **target})[0] == 204
        assert list(names(raw, 2)) == [f"{SN}:subscription-modified", f"{YP}:push-update"]
        assert setting.call("resync-subscription", {"id": number}, module=YP)[0] == 204
        assert [*notification(raw)] == [f"{YP}:push-update"]
        assert setting.call("delete-subscription", {"id": number})[0] == 204
        assert raw.until(b"0\r\n\r\n")
    assert setting.present() == []


def names(raw: Raw, count: int) -> Iterator[str]:
    """Names of the next notifications, which may come in one chunk, and are all that comes."""
    for _, found in zip(range(count), events(raw), strict=False):
        yield next(name for name in orjson.loads(found)["ietf-restconf:notification"] if name != "eventTime")


def test_a_stream_that_is_closed_ends_its_subscription(setting: Setting) -> None:
    path = setting.establish(stream="NETCONF")
    with Raw(setting.address) as raw:
        raw.send(request("ann", "GET", path))
        raw.until(b"\r\n\r\n")
        assert len(setting.present()) == 1
    setting.edit("/depot:depot/bay[name='x']/size", 2)
    wait_for(lambda: setting.present() == [])


def test_a_subscription_is_for_its_subscriber_once(setting: Setting) -> None:
    path = setting.establish(stream="NETCONF")
    for user, method, wanted, status in (
        ("eve", "GET", path, 404),
        ("ann", "GET", "/restconf/subscriptions/77", 404),
        ("ann", "HEAD", path, 200),
        ("ann", "DELETE", path, 405),
    ):
        with Raw(setting.address) as raw:
            raw.send(request(user, method, wanted))
            assert raw.until(b"\r\n").split()[1] == str(status).encode(), (user, method)
    with Raw(setting.address) as raw, Raw(setting.address) as again:
        raw.send(request("ann", "GET", path))
        assert b"200" in raw.until(b"\r\n")
        again.send(request("ann", "GET", path))
        assert again.answer()[0] == 404


def test_who_does_not_come_is_not_waited_for(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    path = setting.establish(stream="NETCONF")
    monkeypatch.setattr(subscriptions, "_PATIENCE", -1.0)
    setting.establish(stream="NETCONF")
    assert [one["id"] for one in setting.present()] == [2]
    with Raw(setting.address) as raw:
        raw.send(request("ann", "GET", path))
        assert raw.answer()[0] == 404


@pytest.mark.parametrize("asked", ["encode-xml", "encode-json"])
def test_encodings(setting: Setting, asked: str) -> None:
    path = setting.establish(**ON_CHANGE, encoding=f"{SN}:{asked}")
    with Raw(setting.address) as raw:
        raw.send(request("ann", "GET", path))
        raw.until(b"\r\n\r\n")
        found = event(raw)
        if asked == "encode-xml":
            root = etree.fromstring(found)
            assert root.find("{urn:ietf:params:xml:ns:yang:ietf-yang-push}push-update") is not None
        else:
            assert f"{YP}:push-update" in orjson.loads(found)["ietf-restconf:notification"]


def test_refusals_have_a_reason(setting: Setting) -> None:
    wrong = ON_CHANGE | {f"{YP}:on-change": {"dampening-period": 1}}
    status, answer = setting.call("establish-subscription", wrong)
    (error,) = answer["ietf-restconf:errors"]["error"]
    assert (status, error["error-tag"], error["error-app-tag"]) == (400, "invalid-value", f"{YP}:period-unsupported")
    assert error["error-info"] == {
        f"{YP}:establish-subscription-datastore-error-info": {
            "reason": f"{YP}:period-unsupported",
            "period-hint": 10,
        }
    }
    assert setting.call("establish-subscription", {"stream": "NETCONF", "encoding": "encode-cbor"})[0] == 400
    assert setting.call("delete-subscription", {"id": 9})[0] == 404
    assert setting.present() == []


def test_a_refusal_in_xml(setting: Setting) -> None:
    body = f'<input xmlns="urn:ietf:params:xml:ns:yang:{SN}"><id>9</id></input>'.encode()
    with Raw(setting.address) as raw:
        path = f"/restconf/operations/{SN}:delete-subscription"
        raw.send(request("ann", "POST", path, "application/yang-data+xml", body).replace(b"data+json", b"data+xml"))
        root = etree.fromstring(raw.answer()[2])
    reason = root.find(".//{urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications}reason")
    assert reason is not None
    prefix, _, name = (reason.text or "").partition(":")
    assert (reason.nsmap[prefix], name) == (f"urn:ietf:params:xml:ns:yang:{SN}", "no-such-subscription")


def test_a_filter_in_xml_has_the_prefixes_of_its_element(setting: Setting) -> None:
    body = f"""<input xmlns="urn:ietf:params:xml:ns:yang:{SN}" xmlns:yp="urn:ietf:params:xml:ns:yang:{YP}">
        <yp:datastore xmlns:ds="urn:ietf:params:xml:ns:yang:ietf-datastores">ds:running</yp:datastore>
        <yp:datastore-xpath-filter xmlns:where="urn:depot">/where:depot/where:bay</yp:datastore-xpath-filter>
        <yp:on-change/></input>""".encode()
    with Raw(setting.address) as raw:
        path = f"/restconf/operations/{SN}:establish-subscription"
        raw.send(request("ann", "POST", path, "application/yang-data+xml", body))
        assert raw.answer()[0] == 200
    (present,) = setting.present()
    assert present[f"{YP}:datastore-xpath-filter"] == "/depot:depot/depot:bay"
    assert present["encoding"] == f"{SN}:encode-xml"
