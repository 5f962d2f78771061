"""A partner that nobody can connect to calls home (RFC 8071), and is a partner like any other."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from nms import init
from nms.commands.partner import agree
from nms.errors import RpcError
from nms.federation import card
from tests.federation.test_two_processes import Daemon, answers, deploy, endpoint, onboard, running, until, withdraw
from tests.ports import free_port

pytestmark = pytest.mark.timeout(150)

PARTNER = "mec-federation:federation/partner={}"
CLIENT = "mec-management:management/call-home-client"


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Daemon, Daemon]]:
    """A, where partners that call home are heard; and B, whose card names a port at which it does not listen."""
    port = free_port()
    with running(tmp_path / "a", "a") as a, running(tmp_path / "b", "b") as b:
        a.listening()
        b.listening()
        a.end(signal.SIGTERM)
        file = a.folder / init.CONFIG_NAME
        file.write_text(
            re.sub(r"(?m)^\[federation\]$", f'[federation]\ncall-home = "127.0.0.1:{port}"', file.read_text())
        )
        a.start()
        cards = {daemon.id: card.of(daemon.config, daemon.folder) for daemon in (a, b)}
        for each in cards["b"]["endpoint"]:
            each["port"] = free_port()
        agree(b.client, cards["a"], agreement="ab", role="provider", zones=["zone-1"])
        agree(a.client, cards["b"], agreement="ab", role="consumer", zones=["zone-1"])
        calling = {"name": "a", "protocol": "mec-types:netconf-ssh"}
        where = {"name": "only", "address": "127.0.0.1", "port": port}
        b.client.write(
            "PATCH",
            "mec-management:management",
            {"mec-management:management": {"call-home-client": [calling | {"endpoint": [where], "persistent": {}}]}},
        )
        yield a, b


def reachable(a: Daemon) -> bool:
    return bool(a.read(PARTNER.format("b") + "/state").get("reachable"))


def test_a_partner_that_calls_is_deployed_to(two: tuple[Daemon, Daemon]) -> None:
    a, b = two
    until("a says why it cannot reach b", lambda: a.read(PARTNER.format("b") + "/state").get("last-error"))
    wanted = {"id": "b", "calls-home": True}
    refused = wanted | {"session-protocol": "mec-types:restconf"}
    with pytest.raises(RpcError):  # over SSH only
        a.client.write("PATCH", PARTNER.format("b"), {"mec-federation:partner": [refused]})
    a.client.write("PATCH", PARTNER.format("b"), {"mec-federation:partner": [wanted]})
    until("a's agreement is active", lambda: a.federation_state("b") == "active")
    until("b's agreement is active", lambda: b.federation_state("a") == "active")
    onboard(a)
    deploy(a)
    assert answers(until("it runs", lambda: endpoint(a)))
    b.end(signal.SIGKILL)
    until("a shows that b is gone", lambda: not reachable(a))
    b.start()
    until("b has called again", lambda: reachable(a))
    withdraw(a, b)
    a.client.write("DELETE", PARTNER.format("b"))
    sessions = "ietf-netconf-monitoring:netconf-state/sessions"
    until("a has no session at b", lambda: not any(s["username"] == "a" for s in b.read(sessions).get("session", ())))
    for log in (*a.logs, *b.logs):
        assert "Traceback" not in log.read_text()
