"""A short run of each protocol target; `make fuzz ARGS='--target protocol'` is the long one."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nms.errors import RpcError
from nms.model import subtree
from nms.netconf import framing
from tests.fuzz.protocol import mutation, run
from tests.fuzz.protocol.subjects import Broken, Netconf
from tests.fuzz.protocol.targets import TARGETS, requests, rpcs


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=8, deadline=None, derandomize=True, database=None)
@given(number=st.integers(min_value=0, max_value=2**32))
def test_the_law_holds(target: str, number: int) -> None:
    """Each case has some dozens of messages."""
    TARGETS[target](Random(number))


def test_the_corpora_are_there() -> None:
    assert len(rpcs()) > 100
    assert sum(map(len, requests())) > 200


def test_a_run_is_determined_by_its_seed() -> None:
    def drawn(seed: int) -> list[bytes]:
        chance = Random(seed)
        return [mutation.bytes_of(chance, b"<rpc><get/></rpc>") for _ in range(20)]

    assert drawn(3) == drawn(3) != drawn(4)


BROKEN = {
    "xml": (subtree, "compile", KeyError("ours")),
    "subtree": (subtree, "compile", RpcError("operation-failed", "no filter fails")),
    "framing": (framing.FrameReader, "_next_chunked", ValueError("ours")),
}


@pytest.mark.parametrize("target", BROKEN)
def test_what_breaks_the_law_is_found_and_kept(target: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    owner, name, error = BROKEN[target]

    def fails(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(owner, name, fails)
    said: list[str] = []
    broken = run.until(target, 1, 12, 60.0, 0, tmp_path, said.append)
    assert broken
    assert {file.name for file in tmp_path.iterdir()} == {f"{name}.txt" for name in broken}
    assert said[-1] == f"{target}: 12 cases, {len(broken)} broken"


def test_a_refused_message_that_changes_something_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = Netconf()
    state = iter(object() for _ in range(100))
    monkeypatch.setattr("tests.fuzz.protocol.subjects.state_of", lambda core: (next(state),))
    with pytest.raises(Broken, match="something has changed"):
        subject.answer(b"<rpc/>")
