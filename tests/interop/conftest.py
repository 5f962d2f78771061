"""`nms serve` on a model that it has never seen, for clients that have never seen us; every one logs in as ann."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from ncclient import manager

from tests.interop.test_daemon import Daemon

MODELS = Path(__file__).with_name("models")
GARDEN = "urn:acme:garden"
USER, PASSWORD = "ann", "secret"


@dataclass(frozen=True)
class Garden:
    """Where the daemon listens, and the key that it lets in (`key`, and `key` with the suffix .pub)."""

    ssh: int
    http: int
    key: Path


@pytest.fixture(scope="session")
def daemon_of_garden(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Garden]:
    folder = tmp_path_factory.mktemp("garden")
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(folder / "host_key")
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(folder / "id")
    (folder / "id").chmod(0o600)
    key.write_public_key(folder / "id.pub")
    hashed = subprocess.run(["openssl", "passwd", "-6", PASSWORD], capture_output=True, text=True, check=True).stdout
    daemon = Daemon(folder)
    daemon.config.write_text(f"""
        domain.id = "generic"
        yang = {{ path = ["{MODELS}"], modules = ["acme-garden"] }}
        store.path = ":memory:"
        netconf.ssh = {{ listen = "127.0.0.1:0", host-key = "host_key" }}
        restconf = {{ listen = "127.0.0.1:0", insecure = true }}
        [[user]]
        name = "{USER}"
        recovery = true
        authorized-keys = ["id.pub"]
        password-hash = '{hashed.strip()}'
        """)
    ports = daemon.start()
    yield Garden(ports["generic listens: NETCONF over SSH"], ports["RESTCONF (http)"], folder / "id")
    assert daemon.stop() == (0, "")


@pytest.fixture
def garden(daemon_of_garden: Garden) -> Iterator[Garden]:
    """An empty garden: whoever worked in it leaves it empty."""
    yield daemon_of_garden
    with open_manager(daemon_of_garden) as session:
        session.discard_changes()
        operation = 'xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" nc:operation="remove"'
        session.edit_config(f'<config><garden xmlns="{GARDEN}" {operation}/></config>', target="running")


def open_manager(garden: Garden) -> Any:
    """An ncclient session of ann."""
    return manager.connect_ssh(
        host="127.0.0.1",
        port=garden.ssh,
        username=USER,
        password=PASSWORD,
        hostkey_verify=False,
        allow_agent=False,
        look_for_keys=False,
        timeout=20,
    )
