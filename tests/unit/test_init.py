"""`nms init`: what it writes works with other people's programs, and it spoils nothing."""

from __future__ import annotations

import datetime
import socket
import ssl
import stat
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from nms.config import load
from nms.credentials import Credentials
from nms.errors import ConfigError
from nms.init import Ports, init
from nms.operations.request import Principal
from nms.pki import write_new

NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture
def domain(tmp_path: Path) -> Path:
    init(tmp_path / "a.example", now=NOW, operator='City of "Orléans"', country="FR")
    return tmp_path / "a.example"


def test_the_configuration_is_one_that_we_read(domain: Path) -> None:
    config = load(domain / "nms.toml")
    assert (config.domain.id, config.domain.operator, config.domain.country) == ("a.example", 'City of "Orléans"', "FR")
    assert config.netconf.ssh is not None
    assert config.netconf.ssh.host_key == domain / "host_key"
    assert config.users[0].recovery
    assert config.drivers.dns.options["zones"] == ["mec.a.example"]


def test_every_line_that_is_no_setting_is_a_comment_or_a_header(domain: Path) -> None:
    text = (domain / "nms.toml").read_text()
    settings = [line for line in text.splitlines() if line and not line.startswith(("#", "["))]
    assert all(" = " in line for line in settings)
    assert "# insecure = false" in text
    assert 'blocks = ["oss", "meo", "mepm", "mep", "vim"]' in text


def test_only_the_owner_reads_it(domain: Path) -> None:
    assert stat.S_IMODE(domain.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in domain.iterdir()} == {0o600}


def test_the_paths_returned_are_all_there_is(tmp_path: Path) -> None:
    files = init(tmp_path / "new" / "b", now=NOW)
    assert set(files) == set((tmp_path / "new" / "b").iterdir())
    assert files[-1].name == "nms.toml"


def test_the_ports_and_the_address_are_those_asked_for(tmp_path: Path) -> None:
    init(tmp_path / "b", now=NOW, address="::1", ports=Ports(ssh=1, tls=2, restconf=3, dns=4))
    config = load(tmp_path / "b" / "nms.toml")
    assert config.netconf.tls is not None
    assert str(config.netconf.tls.listen) == "[::1]:2"
    assert config.drivers.dns.options["listen"] == "[::1]:4"


def test_the_isolating_driver_where_it_works(tmp_path: Path) -> None:
    init(tmp_path / "b", now=NOW, driver="auto", address_block="10.90.0.0/16")
    drivers = load(tmp_path / "b" / "nms.toml").drivers
    assert (drivers.vim.name, drivers.dataplane.name) == ("auto", "auto")
    assert drivers.vim.options["embedded"] == {"addresses": "127.90.0.0/16"}
    assert drivers.vim.options["netns"] == drivers.dataplane.options["netns"] == {"addresses": "10.90.0.0/16"}


def test_openssh_reads_the_keys(domain: Path, need: Callable[[str, str], str]) -> None:
    keygen = need("ssh-keygen", "openssh-client")
    for name in ("host_key", "admin_key"):
        derived = subprocess.run([keygen, "-y", "-f", domain / name], capture_output=True, text=True, check=True).stdout
        assert derived.split()[:2] == (domain / f"{name}.pub").read_text().split()[:2]


def test_client_and_server_believe_each_other(domain: Path) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=domain / "ca.pem")
    server.load_cert_chain(domain / "server.pem", domain / "server-key.pem")
    server.verify_mode = ssl.CERT_REQUIRED
    server.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    client = ssl.create_default_context(cafile=domain / "ca.pem")
    client.load_cert_chain(domain / "admin.pem", domain / "admin-key.pem")
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    ours, theirs = socket.socketpair()
    shown: list[bytes | None] = []

    def serve() -> None:
        with server.wrap_socket(theirs, server_side=True) as stream:
            shown.append(stream.getpeercert(binary_form=True))
            stream.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    with client.wrap_socket(ours, server_hostname="127.0.0.1") as stream:
        stream.send(b"x")
        thread.join(10)
    assert shown[0] is not None
    who = Credentials(load(domain / "nms.toml").users).authenticate_certificate([shown[0]])
    assert who == Principal("admin", recovery=True)


def test_nothing_is_overwritten(domain: Path) -> None:
    before = {file: file.read_bytes() for file in domain.iterdir()}
    with pytest.raises(ConfigError, match=r"host_key, .* there already, nothing written; name another folder"):
        init(domain, now=NOW)
    assert {file: file.read_bytes() for file in domain.iterdir()} == before


def test_one_file_in_the_way_is_enough(tmp_path: Path) -> None:
    (tmp_path / "nms.toml").write_text("mine")
    with pytest.raises(ConfigError, match=r"nms\.toml there already"):
        init(tmp_path, now=NOW, domain_id="a")
    assert [file.name for file in tmp_path.iterdir()] == ["nms.toml"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"domain_id": "a b"}, "id"),
        ({"domain_id": 'a"\nb'}, "id"),
        ({"country": "fr"}, "country"),
        ({"operator": "\n"}, "operator"),
        ({"address": "nowhere at all"}, "address"),
        ({"ports": Ports(ssh=65536)}, "address"),
    ],
)
def test_a_wrong_argument_writes_nothing(tmp_path: Path, arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=f"^{named}: found .* expected "):
        init(tmp_path / "a", now=NOW, **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "a").exists()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(ConfigError, match=r"/a: "):
        init(tmp_path / "a", now=NOW)


def test_write_new_leaves_what_is_there(tmp_path: Path) -> None:
    write_new(tmp_path / "x", b"first")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "x", b"second")
    assert (tmp_path / "x").read_bytes() == b"first"
    assert [file.name for file in tmp_path.iterdir()] == ["x"]
