"""The daemon's configuration: every mistake is one line that names file, table, key and way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from nms.config import BLOCKS, Endpoint, ModuleChoice, Zone, load
from nms.errors import ConfigError
from nms.pki import ssh_key_pair

LEAST = """
[domain]
id = "a.example"
[store]
path = ":memory:"
[restconf]
listen = "127.0.0.1:8080"
insecure = true
"""

SHA512 = "$6$Wm5iXjQKpGnTrq4B$" + "a" * 86
SHA256 = "$5$rounds=5000$saltsalt$" + "b" * 43


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("host_key", "cert.pem", "key.pem", "ca.pem", "startup.xml"):
        (tmp_path / name).write_text(name)
    (tmp_path / "models").mkdir()
    return tmp_path


def written(folder: Path, text: str) -> Path:
    file = folder / "nms.toml"
    file.write_text(text)
    return file


def refusal(folder: Path, text: str) -> str:
    """The one line that refuses the file, without the file's name at its head."""
    file = written(folder, text)
    with pytest.raises(ConfigError) as caught:
        load(file)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{file}: ")
    return line.removeprefix(f"{file}: ")


def test_the_generic_server(folder: Path) -> None:
    key = ssh_key_pair("someone").public
    (folder / "keys").write_text(f"# laptop\n\n{key}\n")
    config = load(
        written(
            folder,
            f"""
            [domain]
            id = "a"
            [yang]
            path = ["models"]
            modules = ["plain", "some:one,two", "whole:*"]
            [store]
            path = "store.db"
            startup = "startup.xml"
            sync = false
            [netconf.ssh]
            listen = "0.0.0.0:830"
            host-key = "host_key"
            [netconf.tls]
            listen = "[::1]:6513"
            cert = "cert.pem"
            key = "key.pem"
            client-ca = "ca.pem"
            [netconf.unix]
            path = "nms.sock"
            [restconf]
            listen = "localhost:8443"
            cert = "cert.pem"
            key = "{folder}/key.pem"
            client-ca = "ca.pem"
            [[user]]
            name = "alice"
            authorized-keys = ["keys"]
            password-hash = "{SHA512}"
            groups = ["operators"]
            [[user]]
            name = "root"
            authorized-keys = ["{key}"]
            password-hash = "{SHA256}"
            recovery = true
            """,
        )
    )
    assert config.yang.path == (folder / "models",)
    assert config.yang.modules == (
        ModuleChoice("plain"),
        ModuleChoice("some", ("one", "two")),
        ModuleChoice("whole", ("*",)),
    )
    assert (config.store.path, config.store.startup) == (folder / "store.db", folder / "startup.xml")
    assert not config.store.sync
    assert config.netconf.ssh is not None
    assert config.netconf.tls is not None
    assert config.netconf.unix is not None
    assert config.restconf is not None
    assert config.netconf.ssh.listen == Endpoint("0.0.0.0", 830)
    assert config.netconf.ssh.host_key == folder / "host_key"
    assert str(config.netconf.tls.listen) == "[::1]:6513"
    assert config.netconf.unix.path == folder / "nms.sock"
    assert config.restconf.key == folder / "key.pem"
    alice, root = config.users
    assert (alice.authorized_keys, alice.groups, alice.recovery) == ((key,), ("operators",), False)
    assert (root.authorized_keys, root.password_hash, root.recovery) == ((key,), SHA256, True)


def test_what_is_not_said(folder: Path) -> None:
    config = load(written(folder, LEAST))
    assert config.store.path is None
    assert config.domain.blocks == BLOCKS
    assert config.yang.modules == ()
    assert config.netconf.ssh is None
    assert config.drivers.vim.name == "embedded"


def test_a_domain(folder: Path) -> None:
    config = load(
        written(
            folder,
            LEAST
            + """
            [[zone]]
            id = "north"
            geography = "47.9,1.9"
            [drivers.vim]
            address-block = "127.81.0.0/16"
            [[drivers.vim.hosts]]
            name = "h1"
            cpu = 4
            [drivers.dns]
            name = "bind"
            ttl = 10
            """,
        )
    )
    assert config.zones == (Zone(id="north", geography="47.9,1.9"),)
    assert config.drivers.vim.name == "embedded"
    assert config.drivers.vim.options == {"address-block": "127.81.0.0/16", "hosts": [{"name": "h1", "cpu": 4}]}
    assert (config.drivers.dns.name, config.drivers.dns.options) == ("bind", {"ttl": 10})


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("[[user]]\nname = 'u'\npasword-hash = 'x'", "[[user]] u password-hash"),
        ("[[user]]\nname = 'u'\nauthorized_keys = []", "[[user]] u authorized-keys"),
        ("[storage]\npath = 'x'", "store"),
        ("[netconf.shh]\nlisten = '[::1]:1'", "[netconf] ssh"),
        ("[drivers.dms]\nname = 'x'", "[drivers] dns"),
    ],
)
def test_an_unknown_key_names_the_nearest(folder: Path, extra: str, expected: str) -> None:
    place, _, near = expected.rpartition(" ")
    line = refusal(folder, LEAST + extra)
    assert line.startswith(place)
    assert line.endswith(f"unknown key; did you mean {near}?")


def test_an_unknown_key_near_none_lists_them_all(folder: Path) -> None:
    assert refusal(folder, LEAST + "[[zone]]\nid = 'z'\ncolour = 'red'") == (
        "[[zone]] z colour: unknown key; known here: id, geography"
    )


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("[yang]\npath = 'models'", '[yang] path: found "models" (string), expected an array of'),
        ("[yang]\npath = ['nowhere']", "nowhere: no such folder"),
        ("[yang]\npath = ['host_key']", "host_key: no such folder"),
        ("[yang]\nmodules = ['a b']", '[yang] modules: found "a b" (string) in the array, expected "MODULE"'),
        ("[yang]\nmodules = ['a:']", 'found "a:" (string)'),
        ("[yang]\nmodules = ['a', 'a:x']", "[yang]: modules: a is there twice"),
        ("[yang]\nmodules = [1]", "found 1 (integer)"),
        ("[netconf.ssh]\nlisten = '[::1]:1'", "[netconf.ssh] host-key: missing: Private host key"),
        ("[netconf.ssh]\nlisten = '[::1]:1'\nhost-key = 'none'", "[netconf.ssh] host-key: "),
        ("[netconf]\nssh = true", "[netconf.ssh]: found true (boolean), expected a table"),
        ("[netconf.unix]\npath = ''", '[netconf.unix] path: found "" (string), expected the path of a socket'),
        ("user = 3", "unknown key"),
        ("[[user]]\nname = 'u'\n[[user]]\nname = 'u'", "[[user]] u: there twice"),
        ("[[user]]\ngroups = []", "[[user]] number 1 name: missing"),
        ("[[user]]\nname = 'u'\nrecovery = 1", "[[user]] u recovery: found 1 (integer), expected true or false"),
        ("[[user]]\nname = 'u'\nrecovery = 'yes'", 'found "yes" (string), expected true or false'),
        ("[[user]]\nname = 'u'\nauthorized-keys = ['none']", "none: no such file of public keys"),
        ("[[user]]\nname = 'u'\nauthorized-keys = ['ssh-rsa AAAA']", "damaged public key"),
        ("[[user]]\nname = 'u'\nauthorized-keys = ['ca.pem']", '"ca.pem" is no public key'),
        ("[[user]]\nname = 'u'\ncertificates = ['sha1:00']", 'expected "sha256:"'),
        ("[drivers.dns]\nname = 1979-05-27", "[drivers.dns] name: found 1979-05-27 (date or time)"),
        ("[domain.id]", "not TOML"),
        ("[packages]\nrequire-signature = true", "without trusted-keys"),
        ("[[partner]]\nid = 'b'", "unknown key"),
    ],
)
def test_a_wrong_value(folder: Path, extra: str, expected: str) -> None:
    assert expected in refusal(folder, LEAST + extra)


@pytest.mark.parametrize(
    "text",
    ["830", "127.0.0.1", ":830", "127.0.0.1:", "127.0.0.1:65536", "256.0.0.1:1", "::1:830", "[::g]:1", "a b:1", "h:-1"],
)
def test_an_address_must_be_whole(folder: Path, text: str) -> None:
    line = refusal(folder, LEAST.replace("127.0.0.1:8080", text))
    assert line.startswith(f'[restconf] listen: found "{text}" (string), expected "ADDRESS:PORT"')


@pytest.mark.parametrize("address", ["0.0.0.0:80", "192.0.2.1:80", "[::]:80", "localhost.example:80"])
def test_plain_http_only_on_loopback(folder: Path, address: str) -> None:
    assert "loopback" in refusal(folder, LEAST.replace("127.0.0.1:8080", address))


@pytest.mark.parametrize("address", ["127.9.9.9:80", "[::1]:80", "localhost:80"])
def test_plain_http_on_loopback(folder: Path, address: str) -> None:
    assert load(written(folder, LEAST.replace("127.0.0.1:8080", address))).restconf is not None


def test_https_needs_a_certificate(folder: Path) -> None:
    assert "cert and key are both needed" in refusal(folder, LEAST.replace("insecure = true", 'cert = "cert.pem"'))


def test_something_must_listen(folder: Path) -> None:
    assert "nothing listens" in refusal(folder, LEAST.partition("[restconf]")[0])


@pytest.mark.parametrize("hash_", ["hunter2", "$1$salt$" + "a" * 22, SHA512[:-1], SHA512 + "a", "$6$" + "a" * 86])
def test_a_password_is_never_repeated(folder: Path, hash_: str) -> None:
    line = refusal(folder, LEAST + f"[[user]]\nname = 'u'\npassword-hash = '{hash_}'")
    assert "$5$ or $6$" in line
    assert hash_ not in line


def test_a_password_hash_is_not_shown(folder: Path) -> None:
    config = load(written(folder, LEAST + f"[[user]]\nname = 'u'\npassword-hash = '{SHA512}'"))
    assert SHA512 not in repr(config)


def test_a_certificate_is_one_users(folder: Path) -> None:
    users = "".join(f"[[user]]\nname = '{name}'\ncertificates = ['sha256:{'0' * 64}']\n" for name in "ab")
    assert "[[user]] b: certificates: " in refusal(folder, LEAST + users)


@pytest.mark.parametrize("missing", ["domain", "store"])
def test_a_missing_table(folder: Path, missing: str) -> None:
    parts = [part for part in LEAST.split("\n[") if not part.startswith(missing)]
    assert refusal(folder, "\n[".join(parts)).startswith(f"[{missing}]: missing")


def test_not_toml(folder: Path) -> None:
    assert "not TOML" in refusal(folder, "[domain\n")


def test_not_text(folder: Path) -> None:
    file = folder / "nms.toml"
    file.write_bytes(b'[domain]\nid = "\xff"\n')
    with pytest.raises(ConfigError, match="not UTF-8 at byte 15"):
        load(file)


@pytest.mark.parametrize("name", ["none.toml", "models"])
def test_no_file(folder: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        load(folder / name)
