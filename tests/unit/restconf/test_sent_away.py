"""A user who is sent away while a request of his is on its way: no session of his begins any more."""

from __future__ import annotations

import pytest

from nms.operations.request import Principal
from restconf.app import create_app
from restconf.wsgi import Environ
from tests.unit.restconf.recording_core import RecordingCore


@pytest.mark.parametrize("path", ["/restconf/data", "/restconf/streams/NETCONF/json"])
def test_who_was_known_when_the_request_came_and_is_not_now(core: RecordingCore, path: str) -> None:
    known = [Principal("bob")]

    def authenticate(environ: Environ) -> Principal | None:
        return known.pop() if known else None

    app = create_app(core, authenticate)
    with app.test_client() as client:
        accepted = "text/event-stream" if "streams" in path else "application/yang-data+json"
        assert client.get(path, headers={"Accept": accepted}).status_code == 401
    assert not core.sessions
    app.extensions["restconf"].close()
