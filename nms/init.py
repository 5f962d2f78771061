"""`nms init`: a folder with a working configuration, fresh keys and certificates.

The file is written from the keys that `nms.config` declares, so that its comments cannot disagree with the parser.
Everything secret is readable by its owner only; nothing that exists is touched.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from nms import config
from nms.config import Config, Endpoint
from nms.errors import ConfigError
from nms.pki import Authority, ssh_key_pair, write_new
from nms.strict_toml import TEXT, Kind, Where, describe, document

T = TypeVar("T")

CONFIG_NAME = "nms.toml"

#: The user of a new domain: a recovery session, so that access control cannot shut its own administrator out.
ADMIN = "admin"


@dataclass(frozen=True)
class Ports:
    """Ports of the listeners; none of the defaults needs a privilege."""

    ssh: int = 2830
    tls: int = 6513
    restconf: int = 8443
    dns: int = 10053


PORTS = Ports()

#: Driver of the infrastructure -> blocks for the addresses of its instances.
INSTANCES: Final[Mapping[str, str]] = {"embedded": "127.{}.0.0/16", "netns": "10.{}.0.0/16", "auto": "10.{}.0.0/16"}


def init(
    directory: Path,
    *,
    now: datetime.datetime,
    domain_id: str = "",
    operator: str = "",
    country: str = "",
    address: str = "127.0.0.1",
    ports: Ports = PORTS,
    driver: str = "embedded",
    address_block: str = "",
    blocks: Sequence[str] = (),
) -> list[Path]:
    """Write the configuration of a new domain.

    Args:
        directory: where; made when there is none.
        now: time zone aware time, from which the certificates are valid.
        domain_id: identifier of the domain; the directory's name when empty.
        operator: who runs it.
        country: its country, two capital letters.
        address: what every listener listens on.
        ports: their ports.
        driver: of the infrastructure and its data plane, one of `INSTANCES`.
        address_block: addresses of its instances; two domains on one machine need two.  Empty: the driver's first.
        blocks: that it runs, as `config.BLOCKS` names them; empty: all.

    Returns:
        The files written, the configuration last; start it with ``nms serve --config`` and that.

    Raises:
        ConfigError: an argument is wrong, a file is there already or cannot be written.
    """
    directory = directory.absolute()
    domain_id = _checked("id", config.HOST_NAME, domain_id or directory.name)
    listen = {
        name: str(_checked("address", config.ENDPOINT, str(Endpoint(address, port))))
        for name, port in vars(ports).items()
    }
    about: dict[str, Any] = {"id": domain_id}
    if operator:
        about["operator"] = _checked("operator", TEXT, operator)
    if blocks:
        about["blocks"] = list(blocks)
    if country:
        about["country"] = _checked("country", config.COUNTRY, country)

    instances, plane = _addresses(driver, address_block or INSTANCES[driver].format(81))
    host_key, admin_key = ssh_key_pair(domain_id), ssh_key_pair(f"{ADMIN}@{domain_id}")
    federation_key = ssh_key_pair(f"federation@{domain_id}")
    authority = Authority(f"{domain_id} authority", now)
    server = authority.server(domain_id, _reached_as(address, domain_id))
    admin = authority.client(ADMIN)
    federation = authority.client(domain_id)
    tls = {"cert": "server.pem", "key": "server-key.pem", "client-ca": "ca.pem"}
    values = {
        "domain": about,
        "store": {"path": "store.db"},
        "netconf": {"ssh": {"listen": listen["ssh"], "host-key": "host_key"}, "tls": {"listen": listen["tls"], **tls}},
        "restconf": {"listen": listen["restconf"], **tls},
        "user": [
            {
                "name": ADMIN,
                "authorized-keys": ["admin_key.pub"],
                "certificates": [admin.fingerprint],
                "recovery": True,
            }
        ],
        "zone": [{"id": "zone-1"}],
        "drivers": {
            "state": "drivers",
            "vim": {
                "name": driver,
                **instances,
                "hosts": [{"name": "host-1", "zone": "zone-1", "cpu": 8, "memory": 16384, "storage": 102400}],
            },
            "dns": {"name": "embedded", "listen": listen["dns"], "zones": [f"mec.{domain_id}"]},
            "dataplane": {"name": driver, **plane},
        },
        "packages": {"path": "packages"},
        "federation": {"key": "federation_key", "cert": "federation.pem", "cert-key": "federation-key.pem"},
    }
    return _write(
        directory,
        {
            "host_key": host_key.private,
            "host_key.pub": host_key.public.encode() + b"\n",
            "admin_key": admin_key.private,
            "admin_key.pub": admin_key.public.encode() + b"\n",
            "federation_key": federation_key.private,
            "federation_key.pub": federation_key.public.encode() + b"\n",
            "federation.pem": federation.certificate,
            "federation-key.pem": federation.private,
            "ca.pem": authority.own.certificate,
            "ca-key.pem": authority.own.private,
            "server.pem": server.certificate,
            "server-key.pem": server.private,
            "admin.pem": admin.certificate,
            "admin-key.pem": admin.private,
            CONFIG_NAME: document(Config, values).encode(),
        },
    )


def _addresses(driver: str, block: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What [drivers.vim] and [drivers.dataplane] say of the instances' addresses; without isolation they are local."""
    said = {"addresses": block}
    if driver == "auto":
        return {"embedded": {"addresses": f"127.{block.partition('.')[2]}"}, "netns": said}, {"netns": said}
    return said, said if driver == "netns" else {}


def _checked(name: str, kind: Kind[T], value: str) -> T:
    try:
        return kind.read(value, Where(Path(CONFIG_NAME)))
    except ValueError:
        raise ConfigError(f"{name}: found {describe(value)}, expected {kind.expected}") from None


def _reached_as(address: str, domain_id: str) -> list[str]:
    """Names in the server's certificate: the loopback ones too, since 0.0.0.0 and :: are no names at all."""
    given = [] if address in ("0.0.0.0", "::") else [address]  # noqa: S104 - compared, not bound
    return [*given, domain_id, "localhost", "127.0.0.1", "::1"]


def _write(directory: Path, contents: Mapping[str, bytes]) -> list[Path]:
    files = {directory / name: content for name, content in contents.items()}
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        there = [file.name for file in files if os.path.lexists(file)]
        if there:
            raise ConfigError(
                f"{directory}: {', '.join(there)} there already, nothing written; name another folder, or remove them"
            )
        for file, content in files.items():
            write_new(file, content)
    except OSError as error:
        raise ConfigError(f"{error.filename or directory}: {error.strerror}") from None
    return list(files)
