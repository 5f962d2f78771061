"""The schema, the core, the application and its client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from nms.model.load import load
from nms.model.schema import Schema
from nms.operations.request import Principal
from restconf.app import create_app
from restconf.wsgi import Environ
from tests.unit.restconf.depot import STOCK, send
from tests.unit.restconf.recording_core import RecordingCore

MODELS = Path(__file__).parent / "models"


@pytest.fixture(scope="session")
def schema() -> Schema:
    return load([MODELS], ["depot", "depot-extra"])


@pytest.fixture
def core(schema: Schema) -> Iterator[RecordingCore]:
    core = RecordingCore(schema)
    yield core
    core.core.close()


def authenticate(environ: Environ) -> Principal | None:
    """Everybody is Ann, whom nothing is denied, unless the request says who."""
    name = environ.get("HTTP_X_USER", "ann")
    return Principal(name, recovery=name == "ann") if name != "nobody" else None


@pytest.fixture
def client(core: RecordingCore) -> Iterator[FlaskClient]:
    app = create_app(core, authenticate)
    with app.test_client() as client:
        yield client
    app.extensions["restconf"].close()


@pytest.fixture
def stocked(client: FlaskClient, core: RecordingCore) -> RecordingCore:
    """The core with something in it."""
    assert send(client, "PUT", "/restconf/data", {"ietf-restconf:data": STOCK}).status_code == 204
    return core
