"""B's platform on A's infrastructure outlives both daemons, and is ended by them also when one was dead meanwhile."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nms.commands.partner import OPTIONS, agree
from nms.federation import card
from tests.federation.test_two_processes import Daemon, running, until

pytestmark = pytest.mark.timeout(240)
AGREEMENT = "mec-federation:federation/partner={}/agreement=ab"


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Daemon, Daemon]]:
    """A, where an instance of B's platform runs."""
    with running(tmp_path / "a", "a") as a, running(tmp_path / "b", "b") as b:
        a.listening()
        b.listening()
        cards = {daemon.id: card.of(daemon.config, daemon.folder) for daemon in (a, b)}
        terms: dict[str, Any] = {"agreement": "ab", "zones": ["zone-1"], "option": OPTIONS["2"]}
        terms["platform_instance"] = True
        agree(b.client, cards["a"], role="provider", **terms)
        agree(a.client, cards["b"], role="consumer", **terms)
        until("B's platform serves", lambda: serves(b))
        yield a, b


def serves(b: Daemon) -> bool:
    state = b.read(f"{AGREEMENT.format('a')}/platform-instance/state")
    return str(state.get("state", "")).endswith("active")


def processes(a: Daemon) -> list[int]:
    """What runs in A's infrastructure."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                below = Path(os.readlink(entry / "cwd")).is_relative_to(a.folder)
            except OSError:
                continue
            if below:
                found.append(int(entry.name))
    return found


def withdraw(b: Daemon) -> None:
    b.client.write("DELETE", f"{AGREEMENT.format('a')}/platform-instance")


def test_it_outlives_either_daemon_and_comes_back_after_both(two: tuple[Daemon, Daemon]) -> None:
    a, b = two
    (process,) = processes(a)
    b.end(signal.SIGKILL)
    assert processes(a) == [process]
    b.start()
    until("B has found it", lambda: serves(b))
    assert processes(a) == [process]
    a.end(signal.SIGKILL)
    assert processes(a) == [process]
    assert serves(b)  # it does, whether or not A's daemon is there
    a.start()
    until("A is reached again", lambda: b.read("mec-federation:federation/partner=a/state").get("reachable"))
    until("A shows it", lambda: a.read(f"{AGREEMENT.format('b')}/platform-instance/state").get("zone"))
    assert processes(a) == [process]

    a.end(signal.SIGKILL)
    b.end(signal.SIGKILL)
    os.kill(process, signal.SIGKILL)
    until("nobody saw it go", lambda: not processes(a))
    b.start()
    a.start()
    until("it is there again", lambda: serves(b) and processes(a))


def test_it_is_withdrawn_while_a_is_dead(two: tuple[Daemon, Daemon]) -> None:
    a, b = two
    a.end(signal.SIGKILL)
    withdraw(b)
    b.end(signal.SIGKILL)  # before it could be carried out
    b.start()
    assert len(processes(a)) == 1
    a.start()
    until("it has ended", lambda: not processes(a))
    until("A holds nothing", lambda: not a.read("mec-resource:infrastructure/vim=vim-1").get("compute-instance"))
    assert not b.read("mec-federation:federation").get("orphan")
