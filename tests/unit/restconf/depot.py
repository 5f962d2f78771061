"""What the tests of resources ask of the model ``depot``, and what they find there."""

from __future__ import annotations

from typing import Any

import orjson
from flask.testing import FlaskClient
from lxml import etree
from werkzeug.test import TestResponse

from tests.unit.restconf.recording_core import RecordingCore

JSON, XML = "application/yang-data+json", "application/yang-data+xml"
BAY = "/restconf/data/depot:depot/bay"

STOCK = {
    "depot:depot": {
        "name": "north",
        "bay": [{"name": "a", "size": 5, "label": ["x", "y"]}, {"name": "b/c"}],
        "slot": [{"row": 1, "column": "l", "held": "box"}],
        "step": [{"id": "one"}, {"id": "two"}],
        "shift": ["early", "late"],
    }
}


def held(core: RecordingCore) -> Any:
    """The datastore's contents."""
    return core.config


def depot(core: RecordingCore) -> Any:
    return held(core)["depot:depot"]


def send(client: FlaskClient, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
    """A request with a JSON body, or XML when the body starts with '<'."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None and "Content-Type" not in sent:
        sent["Content-Type"] = XML if isinstance(body, str) and body.startswith("<") else JSON
    data = body if isinstance(body, str | bytes) else None if body is None else orjson.dumps(body)
    return client.open(path, method=method, data=data, headers=sent)


def error(response: TestResponse) -> dict[str, Any]:
    """The one error of an answer."""
    if response.mimetype == XML:
        (item,) = etree.fromstring(response.data)
        return {etree.QName(child).localname: child.text for child in item}
    (found,) = orjson.loads(response.data)["ietf-restconf:errors"]["error"]
    assert isinstance(found, dict)
    return found


# ---------------------------------------------------------------- GET
