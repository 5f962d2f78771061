"""Damaged rpcs against a real core: whatever is sent, a well-formed reply comes back and nothing fails inside."""

from __future__ import annotations

import copy
import logging
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from tests.conformance.netconf.test_netconf_conformance import HERE, Server, messages

TEXTS = (
    "",
    "x",
    "-1",
    "9" * 30,
    "a:b",
    "true",
    "[",
    "//*[",
    "/n:network",
    "' or ''='",
    "2026-01-01T00:00:00Z",
    "é" * 99,
)
NETCONF, YANG = "{urn:ietf:params:xml:ns:netconf:base:1.0}", "{urn:ietf:params:xml:ns:yang:1}"
ATTRIBUTES = ("a", f"{NETCONF}operation", f"{YANG}insert", f"{YANG}key", f"{YANG}value", "type", "select", "message-id")
VALUES = (*TEXTS, "delete", "create", "remove", "replace", "merge", "before", "after", "first", "xpath", "subtree")


def corpus() -> list[etree._Element]:
    """The rpcs of the conformance cases."""
    found = []
    for path in sorted(HERE.glob("*.rpc.xml")):
        for message in messages(path.read_text()):
            try:
                found.append(etree.fromstring(message.encode()))
            except etree.XMLSyntaxError:
                continue
    return found


CORPUS = corpus()


def damaged(chance: random.Random) -> str:
    root = copy.deepcopy(chance.choice(CORPUS))
    for _ in range(chance.randint(1, 3)):
        element = chance.choice(list(root.iter(etree.Element)))
        other = chance.choice(list(chance.choice(CORPUS).iter(etree.Element)))
        parent = element.getparent()
        match chance.randrange(7):
            case 0 if parent is not None:
                parent.remove(element)
            case 1 if parent is not None:
                parent.insert(0, copy.deepcopy(element))
            case 2:
                element.text = chance.choice(TEXTS)
            case 3:
                element.tail = chance.choice(TEXTS)
            case 4:
                element.append(copy.deepcopy(other))
            case 5:
                element.set(chance.choice(ATTRIBUTES), chance.choice(VALUES))
            case _:
                element.tag = other.tag
    return etree.tostring(root, encoding="unicode")


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
