"""Fixtures of several transports' tests."""

from __future__ import annotations

import pytest

from nms.model.schema import Schema
from tests.unit.netconf.recording_core import example_schema
from tests.unit.transport.certificates import Certificates


@pytest.fixture(scope="session")
def schema() -> Schema:
    return example_schema()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))
