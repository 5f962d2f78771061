"""Our client side against a server of another make: yuma123's netconfd behind OpenSSH's sshd.

It is of 2013 in places (RFC 6020, one target datastore, YANG library of 2016), names error-paths its own way and
indents its replies: what an adaptor has to live with when a partner does not run this project.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import asyncssh
import pytest
from lxml import etree

from nms import cli
from nms.errors import RpcError
from nms.federation.adaptor import RemoteSession, Scope
from nms.federation.netconf_client import BASE, Client, Peer
from nms.federation.over_netconf import SshEndpoint
from nms.mec.session import RESYNC, DataEdit
from nms.model.load import load
from tests.interop.conftest import GARDEN, MODELS

ME = pwd.getpwuid(os.getuid()).pw_name


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def foreign(tmp_path: Path, need: Callable[[str, str], str]) -> Iterator[Peer]:
    """netconfd on the garden, reached by this user's key; with whole paths, as not everybody has them on PATH."""
    netconfd, sshd = need("/usr/sbin/netconfd", "netconfd"), need("/usr/sbin/sshd", "openssh-server")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # its privilege separation, as the service makes it
    for name in ("host_key", "id"):
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(tmp_path / name)
        (tmp_path / name).chmod(0o600)
        key.write_public_key(tmp_path / f"{name}.pub")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # netconfd admits nobody who came to sshd by another port than this; a socket's path is short
    door = Path("/tmp") / f"netconfd-{os.getpid()}-{port}"
    (tmp_path / "sshd_config").write_text(f"""
        ListenAddress 127.0.0.1
        Port {port}
        HostKey {tmp_path}/host_key
        AuthorizedKeysFile {tmp_path}/id.pub
        PidFile none
        StrictModes no
        UsePAM no
        PasswordAuthentication no
        KbdInteractiveAuthentication no
        Subsystem netconf "/usr/sbin/netconf-subsystem --ncxserver-sockname={port}@{door}"
        """)
    with (tmp_path / "log").open("wb") as log:
        commands = (
            [
                netconfd, f"--module={MODELS}/acme-garden.yang", f"--modpath={MODELS}:/usr/share/yuma/modules",
                "--target=running", "--no-startup", "--access-control=off", f"--superuser={ME}", "--max-burst=0",
                f"--port={port}", f"--ncxserver-sockname={door}", f"--home={tmp_path}",
            ],
            [sshd, "-D", "-e", "-f", str(tmp_path / "sshd_config")],
        )  # fmt: skip
        running = [subprocess.Popen(each, stdin=subprocess.DEVNULL, stdout=log, stderr=log) for each in commands]
    try:
        until(door.exists)
        until(lambda: b"Server listening" in (tmp_path / "log").read_bytes())
        yield Peer("127.0.0.1", port, (tmp_path / "host_key.pub").read_text(), ME, tmp_path / "id")
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(20)
        door.unlink(missing_ok=True)


def config(content: str) -> etree._Element:
    return etree.fromstring(
        f'<nc:config xmlns:nc="{BASE}"><garden xmlns="{GARDEN}">{content}</garden></nc:config>'.encode()
    )


def test_client(foreign: Peer) -> None:
    client, events = Client(foreign), Client(foreign)
    try:
        assert f"{GARDEN}?module=acme-garden&revision=2026-01-01" in client.capabilities
        schema = client.call(
            etree.fromstring(
                '<get-schema xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring">'
                "<identifier>acme-garden</identifier></get-schema>"
            )
        )
        assert "module acme-garden {" in "".join(schema.itertext())
        events.subscribe()
        client.edit(config("<owner>Änne</owner><bed><name>roses</name><area>20</area></bed>"))
        told = events.notification(20)
        assert told is not None
        assert told.find("{*}netconf-config-change/{*}edit/{*}target") is not None
        wanted = etree.fromstring(f'<filter><garden xmlns="{GARDEN}"><owner/></garden></filter>')
        found = client.get(wanted, config=True)
        assert [each.text for each in found.iter() if len(each) == 0] == ["Änne"]
        refusals = {
            '<bed nc:operation="create"><name>roses</name></bed>': "data-exists",
            '<bed nc:operation="delete"><name>tulips</name></bed>': "data-missing",
            "<bed><name>roses</name><next-to>nobody</next-to></bed>": "data-missing",
            "<bed><name>roses</name><next-to>roses</next-to></bed>": "operation-failed",
            f"<owner>{'x' * 17}</owner>": "invalid-value",
            "<shed/>": "unknown-element",
        }
        for content, tag in refusals.items():
            with pytest.raises(RpcError) as caught:
                client.edit(config(content))
            assert caught.value.tag == tag
        assert len(client.call(etree.fromstring(f'<water xmlns="{GARDEN}"><bed>roses</bed></water>'))) == 1

        other = Client(foreign)
        other.call(etree.fromstring(f'<lock xmlns="{BASE}"><target><running/></target></lock>'))
        with pytest.raises(RpcError) as caught:
            client.edit(config("<owner>Eve</owner>"))
        assert caught.value.tag == "in-use"
        other.call(etree.fromstring(f'<unlock xmlns="{BASE}"><target><running/></target></unlock>'))
        other.close()
        client.edit(config("<owner>Eve</owner>"))
    finally:
        client.close()
        events.close()


def test_remote_session(foreign: Peer) -> None:
    """The adaptor's edit, get and upkeep; the partner it is made for would have our models."""

    async def scenario() -> None:
        schema = load([MODELS], ["acme-garden"])
        there = SshEndpoint(
            "s", foreign.address, foreign.port, foreign.host_key, foreign.user, foreign.key, foreign.timeout
        )
        session = RemoteSession(schema, [there], "/acme-garden:garden", Scope("p", "a"), lambda: datetime.now(UTC))
        told: list[str] = []
        session.watch(lambda name, members: told.append(name))
        try:
            create = [DataEdit("/bed[name='roses']", "create", {"area": 20, "plant": ["é", "b"]})]
            await session.edit(create)
            await session.edit([DataEdit("/bed[name='tulips']", "merge", {"next-to": "roses"})])
            assert await session.get("/bed[name='roses']") == {"name": "roses", "area": 20, "plant": ["é", "b"]}
            assert await session.get("/bed[name='none']") is None
            await session.edit(create)  # it is there as asked: an answer that was lost is asked for again
            with pytest.raises(RpcError) as caught:
                await session.edit([DataEdit("/bed[name='roses']", "remove")])
            assert caught.value.tag == "data-missing"  # tulips are next to it
            found = await session.get("/bed")
            assert found is not None
            assert [bed["name"] for bed in found["bed"]] == ["roses", "tulips"]
            assert (session.established, told) == (True, [RESYNC])
            assert session.counters.last_error == ""
        finally:
            session.close()

    asyncio.run(scenario())


def test_its_modules_beside_ours(
    foreign: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`nms model compat --live`: what it has is found by the means of RFC 6022 alone."""
    url = f"netconf://{ME}@127.0.0.1:{foreign.port}"
    ours = tmp_path / "ours"
    shutil.copytree(MODELS, ours)
    asked = ["model", "compat", str(ours), "--live", url, "--key", str(tmp_path / "id")]
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cli.main(asked) == 2
    assert "Unknown host key" in capsys.readouterr().err
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{foreign.port} {foreign.host_key}")
    assert cli.main(asked) == 0
    assert "nothing differs" in capsys.readouterr().out
    garden = ours / "acme-garden.yang"
    text = garden.read_text()
    assert "leaf owner {" in text
    garden.write_text(text.replace("leaf owner {", "leaf gardener {"))
    assert cli.main(asked) == 1
    assert "leaf owner is gone" in capsys.readouterr().out
