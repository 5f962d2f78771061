"""curl against a real RESTCONF listener over TLS: both ways to say who one is, every method, an event stream."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nms.model.load import load
from nms.notify.streams import Notification
from nms.operations.dispatch import Core
from nms.operations.request import Principal
from nms.pki import Authority, Certificate
from restconf.server import Server, Tls, start

MODELS = Path(__file__).parents[1] / "unit" / "restconf" / "models"
JSON = "Content-Type: application/yang-data+json"


@dataclass
class Setting:
    """A served core, and curl with the options to reach it."""

    core: Core
    base: str
    curl: list[str]
    ann: list[str]

    def __call__(self, path: str, *options: str) -> tuple[int, str]:
        """(status, body) as the user Ann, by her certificate."""
        return self.as_user(self.ann, path, *options)

    def as_user(self, who: list[str], path: str, *options: str) -> tuple[int, str]:
        run = subprocess.run(
            [*self.curl, *who, "-w", "\n%{http_code}", *options, self.base + path],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        body, _, status = run.stdout.rpartition("\n")
        return int(status), body


@contextmanager
def _served(core: Core, tls: Tls, ann: Certificate) -> Iterator[tuple[str, int]]:
    loop = asyncio.new_event_loop()
    ready, ended = threading.Event(), asyncio.Event()
    box: list[Server] = []

    def owner(fingerprint: str) -> Principal | None:
        return Principal("ann", recovery=True) if f"sha256:{fingerprint}" == ann.fingerprint else None

    def password(user: str, given: str) -> Principal | None:
        return Principal(user, recovery=True) if (user, given) == ("bob", "secret") else None

    async def serve() -> None:
        box.append(
            await start(
                core,
                listen=("127.0.0.1", 0),
                tls=tls,
                authenticate_password=password,
                authenticate_certificate=owner,
            )
        )
        ready.set()
        await ended.wait()
        await box[0].close()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(10)
    try:
        yield box[0].addresses[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(20)
        loop.close()


@pytest.fixture
def setting(need: Callable[[str, str], str], tmp_path: Path) -> Iterator[Setting]:
    curl = need("curl", "curl")

    def write(name: str, content: bytes) -> Path:
        file = tmp_path / name
        file.write_bytes(content)
        return file

    authority = Authority("here", datetime.now(UTC))
    server, ann = authority.server("server", ["127.0.0.1"]), authority.client("ann")
    ca = write("ca.pem", authority.own.certificate)
    tls = Tls(write("server.pem", server.certificate), write("server.key", server.private), ca)
    mine = ["--cert", str(write("ann.pem", ann.certificate)), "--key", str(write("ann.key", ann.private))]
    core = Core.create(load([MODELS], ["depot", "depot-extra", "ietf-datastores", "ietf-origin"]))
    core.register("depot", "count", lambda session, invoke: (len(invoke.input[0]),))
    with _served(core, tls, ann) as (host, port):
        yield Setting(core, f"https://{host}:{port}", [curl, "-sS", "--cacert", str(ca)], mine)
    core.close()


def test_a_day_with_curl(setting: Setting) -> None:
    bay = "/restconf/data/depot:depot/bay=a%2Fb"
    assert setting(bay, "-X", "PUT", "-H", JSON, "-d", '{"depot:bay":[{"name":"a/b","size":7}]}')[0] == 201
    assert setting(bay, "-X", "PATCH", "-H", JSON, "-d", '{"depot:bay":[{"name":"a/b","label":["x"]}]}') == (204, "")
    status, body = setting(bay)
    assert (status, json.loads(body)) == (200, {"depot:bay": [{"name": "a/b", "size": 7, "label": ["x"]}]})
    status, body = setting(bay, "-H", "Accept: application/yang-data+xml")
    assert (status, body) == (200, '<bay xmlns="urn:depot"><name>a/b</name><size>7</size><label>x</label></bay>')
    assert setting(bay, "-I")[0] == 200
    assert setting(bay, "-X", "DELETE", "-H", 'If-Match: "stale"')[0] == 412
    assert setting(bay, "-X", "DELETE") == (204, "")
    assert setting(bay)[0] == 404
    assert setting("/restconf/data/depot:depot", "-X", "DELETE")[0] == 404
    called = setting("/restconf/operations/depot:count", "-H", JSON, "-d", '{"depot:input":{"what":"four"}}')
    assert called == (200, '{"depot:output":{"total":"4"}}')


def test_yang_patch_and_datastores(setting: Setting, tmp_path: Path) -> None:
    depot = "/restconf/data/depot:depot"
    file = tmp_path / "patch.xml"
    file.write_text(
        """<?xml version="1.0" encoding="UTF-8"?>
        <yang-patch xmlns="urn:ietf:params:xml:ns:yang:ietf-yang-patch">
          <patch-id>two-steps</patch-id>
          <edit><edit-id>1</edit-id><operation>create</operation><target>/step=one</target>
            <value><step xmlns="urn:depot"><id>one</id></step></value></edit>
          <edit><edit-id>2</edit-id><operation>insert</operation><target>/step=zero</target>
            <point>/step=one</point><where>before</where>
            <value><step xmlns="urn:depot"><id>zero</id></step></value></edit>
        </yang-patch>"""
    )
    sent = ["-X", "PATCH", "-H", "Content-Type: application/yang-patch+xml", "--data-binary", f"@{file}"]
    status, body = setting(depot, *sent)
    assert (status, "<ok/>" in body) == (200, True)
    status, body = setting(depot, *sent)
    assert (status, "data-exists" in body) == (409, True)
    running = "/restconf/ds/ietf-datastores:running/depot:depot"
    status, body = setting(f"{running}/step?limit=1&direction=backwards")
    assert (status, json.loads(body)) == (200, {"depot:step": [{"id": "one"}]})
    operational = "/restconf/ds/ietf-datastores:operational/depot:depot"
    status, body = setting(f"{operational}/step=zero?with-origin")
    assert json.loads(body)["depot:step"][0]["@"] == {"ietf-origin:origin": "ietf-origin:intended"}
    assert setting(operational, "-X", "DELETE")[0] == 405
    assert (
        setting(f"{depot}/bay=%27%22%2F", "-X", "PUT", "-H", JSON, "-d", '{"depot:bay":[{"name":"\'\\"/"}]}')[0] == 201
    )
    assert setting(depot, "-X", "PUT", "-H", JSON, "-d", '{"depot:depot":{"name":"a","name":"b"}}')[0] == 400
    status, head = setting("/restconf", "-X", "OPTIONS", "-i")
    assert (status, "Allow: GET, HEAD, OPTIONS" in head) == (204, True)


def test_basic_and_nobody(setting: Setting) -> None:
    assert setting.as_user(["-u", "bob:secret"], "/restconf/data")[0] == 200
    assert setting.as_user(["-u", "bob:wrong"], "/restconf/data")[0] == 401
    status, body = setting.as_user([], "/restconf/data")
    assert (status, json.loads(body)["ietf-restconf:errors"]["error"][0]["error-tag"]) == (401, "access-denied")


def test_a_big_body_with_expect_and_chunks(setting: Setting, tmp_path: Path) -> None:
    entries = [{"name": f"bay-{i:05}", "label": ["x" * 50]} for i in range(5000)]
    file = tmp_path / "big.json"
    file.write_text(json.dumps({"depot:depot": {"bay": entries}}))
    for option in ("Expect: 100-continue", "Transfer-Encoding: chunked"):
        status, _ = setting(
            "/restconf/data/depot:depot", "-X", "PUT", "-H", JSON, "-H", option, "--data-binary", f"@{file}"
        )
        assert status in (201, 204)
    status, body = setting("/restconf/data/depot:depot/bay")
    assert (status, len(json.loads(body)["depot:bay"])) == (200, 5000)


def test_events(setting: Setting) -> None:
    command = [*setting.curl, *setting.ann, "-N", setting.base + "/restconf/streams/NETCONF/json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as curl:
        try:
            sessions = setting.core.context.sessions
            deadline = time.monotonic() + 10
            while not any(session.on_close for session in list(sessions.values())):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
            alarm = setting.core.schema.notifications["depot", "alarm"]
            setting.core.streams.publish(Notification(alarm, (), ("fire",), now))
            assert curl.stdout is not None
            data = curl.stdout.readline().removeprefix("data: ")
            assert json.loads(data) == {
                "ietf-restconf:notification": {"eventTime": "2026-01-02T03:04:05Z", "depot:alarm": {"text": "fire"}}
            }
        finally:
            curl.terminate()
