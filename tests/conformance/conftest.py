"""The switch that rewrites what conformance cases expect: ``pytest tests/conformance/netconf --regenerate``."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regenerate", action="store_true", help="rewrite the expected output of conformance cases")
