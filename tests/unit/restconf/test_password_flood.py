"""Passwords are slow to check by design: whoever sends wrong ones must not keep the others from being served."""

from __future__ import annotations

import threading
from base64 import b64encode
from contextlib import ExitStack

import pytest

from nms.operations.request import Principal
from restconf.service import Limits
from tests.unit.restconf.listener import Raw, listening
from tests.unit.restconf.recording_core import RecordingCore


class SlowDoor:
    """A password check that does not come back for wrong passwords until it is told to."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.asked = threading.Semaphore(0)

    def __call__(self, user: str, password: str) -> Principal | None:
        if password == "secret":
            return Principal(user, recovery=True)
        self.asked.release()
        self.released.wait(30)
        return None


def request(start: str, password: str, *headers: str) -> bytes:
    token = b64encode(f"ann:{password}".encode()).decode()
    return "\r\n".join([f"{start} HTTP/1.1", "Host: here", f"Authorization: Basic {token}", *headers, "", ""]).encode()


WRONG = [
    request("GET /restconf/data", "wrong"),
    request("PUT /restconf/data", "wrong", "Content-Length: 5000", "Content-Type: application/yang-data+json"),
    request("PUT /restconf/data", "wrong", "Transfer-Encoding: chunked") + b"1388\r\n" + b"x" * 5000 + b"\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("wrong", WRONG, ids=["no body", "announced body", "chunked body"])
def test_wrong_passwords_keep_neither_the_loop_nor_the_workers(core: RecordingCore, wrong: bytes) -> None:
    door = SlowDoor()
    options = {"authenticate_password": door, "limits": Limits(anonymous_body=1000)}
    with listening(core, **options) as address, ExitStack() as stack:
        known = stack.enter_context(Raw(address))
        known.send(request("GET /restconf", "secret"))
        assert known.answer()[0] == 200
        flood = [stack.enter_context(Raw(address)) for _ in range(20)]
        for raw in flood:
            raw.send(wrong)
        assert door.asked.acquire(timeout=10)
        for target in ("/restconf/data/depot:motto=x", "/restconf/data", "/restconf/operations"):
            known.send(request(f"GET {target}", "secret"))
            assert known.answer()[0] in (200, 400, 404)
        door.released.set()
        assert {raw.answer()[0] for raw in flood} == {401}


def test_a_large_body_of_somebody_known_is_taken(core: RecordingCore) -> None:
    body = b'{"depot:motto": "' + b"m" * 5000 + b'"}'
    with listening(core, limits=Limits(anonymous_body=1000)) as address, Raw(address) as raw:
        headers = [f"Content-Length: {len(body)}", "Content-Type: application/yang-data+json", "Expect: 100-continue"]
        raw.send(request("PUT /restconf/data/depot:motto", "secret", *headers))
        assert raw.until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        raw.send(body)
        assert raw.answer()[0] == 201
    assert core.config["depot:motto"] == "m" * 5000
