"""Damaged rpcs against a real core: whatever is sent, a well-formed reply comes back and nothing fails inside."""

from __future__ import annotations

import logging
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from tests.conformance.netconf.test_netconf_conformance import HERE, Server, rpcs
from tests.fuzz.protocol import mutation

CORPUS = rpcs()


def damaged(chance: random.Random) -> str:
    return etree.tostring(mutation.element(chance, chance.choice(CORPUS), CORPUS), encoding="unicode")


def test_the_corpus_is_there() -> None:
    assert len(CORPUS) > 100


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_damaged_rpcs_are_answered(chance: random.Random) -> None:
    faults: list[logging.LogRecord] = []
    watch = logging.Handler(logging.ERROR)
    watch.emit = faults.append  # type: ignore[method-assign]
    log = logging.getLogger("nms")
    log.addHandler(watch)
    try:
        server = Server()
        server.enter(4)
        server.send((HERE / "initial.xml").read_text())
        for _ in range(30):
            server.received.clear()
            message = damaged(chance)
            server.send(message)
            for answer in server.received:
                if answer.startswith(b"<!--"):
                    continue  # a session was ended
                assert etree.fromstring(answer).tag.rpartition("}")[2] in ("rpc-reply", "notification")
            if faults:
                pytest.fail(f"{faults[0].getMessage()}: {faults[0].exc_info} for\n{message}")
    finally:
        log.removeHandler(watch)
