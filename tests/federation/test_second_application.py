"""With `nms run` up in a terminal: a second application deployed by ncclient, a third by curl, found by dig and used.

The clients know A and its models only; the applications run at B.
"""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ncclient import manager
from ncclient.xml_ import to_ele

import bindings

pytestmark = pytest.mark.timeout(150)
ORDER = "urn:mec-nms:yang:mec-order"
SYSTEM = "urn:mec-nms:yang:mec-system"


@dataclass
class Lab:
    """The two domains as the story leaves them for looking around; addresses as it printed them."""

    folder: Path
    text: str

    def port(self, domain: str, service: str) -> int:
        line = next(line for line in self.text.splitlines() if f"{domain} (Operator" in line)
        found = re.search(rf"{service} 127\.0\.0\.1:(\d+)", line)
        assert found is not None
        return int(found[1])


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab") / "domains"
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "nms.cli", "run", "--folder", str(folder)]
    with subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal) as running:
        os.close(terminal)
        text = _read_until(controller, "Look around")
        yield Lab(folder, text)
        running.send_signal(signal.SIGINT)
        rest = _read_until(controller, "nothing is left running")
        assert running.wait(30) == 0, rest
    os.close(controller)


def _read_until(controller: int, wanted: str) -> str:
    text = ""
    while wanted not in text:
        try:
            text += os.read(controller, 65536).decode(errors="replace")
        except OSError:
            pytest.fail(f"it ended before it said {wanted!r}:\n{text}")
    return text


def until(what: str, check: Callable[[], object]) -> object:
    end = time.monotonic() + 40
    while time.monotonic() < end:
        if found := check():
            return found
        time.sleep(0.1)
    pytest.fail(f"{what} did not happen")


def uses(lab: Lab, need: Callable[[str, str], str], name: str) -> str:
    """What the application called `name` answers, its address asked of B's name server with dig."""
    query = [need("dig", "bind9-dnsutils"), "+short", "@127.0.0.1", "-p", str(lab.port("domain-b", "DNS")), name]
    address = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    assert address.startswith("127.82.")  # B's infrastructure
    with urllib.request.urlopen(f"http://{address}:8080/", timeout=10) as answer:
        return str(answer.read().decode())


def test_ncclient_reads_the_view_of_b_and_deploys(lab: Lab, need: Callable[[str, str], str]) -> None:
    with manager.connect(
        host="127.0.0.1",
        port=lab.port("domain-a", "SSH"),
        username="admin",
        key_filename=str(lab.folder / "a" / "admin_key"),
        hostkey_verify=False,
        look_for_keys=False,
        allow_agent=False,
    ) as session:
        zones = session.get(("subtree", f'<system xmlns="{SYSTEM}"><zone/></system>')).data_ele
        remote = [z for z in zones.iter(f"{{{SYSTEM}}}zone") if z.findtext(f"{{{SYSTEM}}}partner") == "domain-b"]
        assert [zone.findtext(f"{{{SYSTEM}}}available/{{{SYSTEM}}}memory") for zone in remote]

        payload = bindings.build("mec-order")
        order = payload.orders.order.add("by-ncclient")
        order.customer = "a script"
        item = order.item.add("app")
        item.package = "hello-edge"
        item.acceptable_zone.append(remote[0].findtext(f"{{{SYSTEM}}}id"))
        item.dns_name = "second.mec.domain-b"
        config = f"<config>{bindings.to_xml(payload).decode()}</config>"
        session.edit_config(target="running", config=to_ele(config))

        wanted = f'<orders xmlns="{ORDER}"><order><id>by-ncclient</id><state><state/></state></order></orders>'
        state = f".//{{{ORDER}}}state/{{{ORDER}}}state"
        until("the order", lambda: "completed" in (session.get(("subtree", wanted)).data_ele.findtext(state) or ""))
    assert "hello" in uses(lab, need, "second.mec.domain-b").lower()


def test_curl_deploys(lab: Lab, need: Callable[[str, str], str]) -> None:
    a = lab.folder / "a"
    curl = [need("curl", "curl"), "--silent", "--show-error", "--fail-with-body", "--cacert", str(a / "ca.pem"),
            "--cert", str(a / "admin.pem"), "--key", str(a / "admin-key.pem")]  # fmt: skip
    base = f"https://127.0.0.1:{lab.port('domain-a', 'RESTCONF')}/restconf/data/mec-order:orders"

    def call(*arguments: str) -> str:
        done = subprocess.run([*curl, *arguments], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    item = {
        "id": "app",
        "package": "hello-edge",
        "acceptable-zone": ["domain-b.zone-1"],
        "dns-name": "third.mec.domain-b",
    }
    body = {"mec-order:order": [{"id": "by-curl", "customer": "a shell", "item": [item]}]}
    call("-X", "POST", "-H", "Content-Type: application/yang-data+json", "-d", json.dumps(body), base)
    until("the order", lambda: "completed" in call(f"{base}/order=by-curl/state/state"))
    assert "hello" in uses(lab, need, "third.mec.domain-b").lower()
