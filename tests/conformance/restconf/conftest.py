"""Conformance cases of RESTCONF as pairs of files, and the switch that writes the answers anew.

A case is a folder of ``cases/``: ``NN-name.request`` (request line, headers, empty line, body) and beside it
``NN-name.response`` (status, headers of interest, empty line, body).  The requests of a folder go to one server in
their order, so that a case may build on the one before.
"""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    try:
        parser.addoption(
            "--regenerate", action="store_true", help="write what conformance cases answer, instead of comparing"
        )
    except ValueError:  # NETCONF's runner has the same switch
        return
