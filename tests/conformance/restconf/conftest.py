"""Conformance cases of RESTCONF as pairs of files, and the switch that writes the answers anew.

A case is a folder of ``cases/``, named RFC-SECTION-what: ``NN-name.request`` and beside it ``NN-name.response``, or
``NN-name.rpc.xml`` and ``NN-name.reply.xml`` where NETCONF is compared.  The steps of a folder go to one server in
their order, so that a case may build on the one before; `server.py` says what a step may hold.
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
