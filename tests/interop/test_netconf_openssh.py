"""OpenSSH's client against a real listener: people type NETCONF by hand, and scripts pipe it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nms.netconf.connection import BASE_1_0, BASE_1_1
from nms.netconf.messages import NETCONF, hello
from tests.interop.netconf_server import USER, Server, running


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as found:
        yield found


@pytest.fixture
def ssh(
    server: Server, tmp_path: Path, need: Callable[[str, str], str]
) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    program = need("ssh", "openssh-client")
    key = tmp_path / "key"
    server.client_key.write_private_key(key)
    key.chmod(0o600)

    def run(*arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        options = (
            "BatchMode=yes",
            "StrictHostKeyChecking=no",
            f"UserKnownHostsFile={tmp_path}/known",
            "IdentitiesOnly=yes",
        )
        command = [program, "-F", "none", "-i", str(key), "-p", str(server.port), "-T"]
        command += [part for option in options for part in ("-o", option)]
        return subprocess.run(
            [*command, f"{USER}@{server.host}", *arguments], input=data, capture_output=True, timeout=30, check=False
        )

    return run


def rpc(number: int, operation: str) -> bytes:
    return f'<?xml version="1.0"?>\n<rpc xmlns="{NETCONF}" message-id="{number}">{operation}</rpc>'.encode()


GET = "<get-config><source><running/></source></get-config>"


def test_piped_messages_of_version_1_0(ssh: Callable[..., subprocess.CompletedProcess[bytes]]) -> None:
    messages = [hello([BASE_1_0]), rpc(1, GET), rpc(2, "<close-session/>")]
    done = ssh("-s", "netconf", data=b"".join(message + b"\n]]>]]>\n" for message in messages))
    told, *replies, rest = done.stdout.split(b"]]>]]>")
    assert b"<session-id>" in told
    assert [f'message-id="{i}"'.encode() in reply for i, reply in enumerate(replies, 1)] == [True, True]
    assert rest == b""
    assert done.returncode == 0


def test_piped_messages_of_version_1_1_are_answered_before_the_end(
    ssh: Callable[..., subprocess.CompletedProcess[bytes]],
) -> None:
    data = hello([BASE_1_1]) + b"]]>]]>" + b"".join(
        b"\n#%d\n%b\n##\n" % (len(rpc(i, GET)), rpc(i, GET)) for i in range(20)
    )  # fmt: skip
    done = ssh("-s", "netconf", data=data)
    assert done.stdout.count(b"</rpc-reply>\n##\n") == 20
    assert done.returncode == 0


@pytest.mark.parametrize("arguments", [[], ["id"], ["-s", "sftp"]])
def test_nothing_else(ssh: Callable[..., subprocess.CompletedProcess[bytes]], arguments: list[str]) -> None:
    done = ssh(*arguments)
    assert done.returncode != 0
    assert done.stdout == b""
