"""Configuration of a daemon: the keys of its TOML file, each declared once.

The file says what must be known before the daemon can listen: identity, models, listeners, users, storage and
drivers.  What can change at run time, partners too, is YANG configuration in the datastore instead.  Relative paths are
relative to the file's folder.  This module must not know what a key is used for; it only says what a key may hold.
"""

from __future__ import annotations

import grp
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nms.credentials import HASH, KEY_TYPE, fingerprint_of, public_key
from nms.limits import Limits as DefaultLimits
from nms.strict_toml import (
    BOOLEAN,
    TEXT,
    Kind,
    Where,
    many,
    matching,
    one_of,
    path,
    read_file,
    remainder,
    setting,
    table,
    tables,
    whole,
)

#: Our own YANG modules: beside the package, in a checkout and where the package is installed.
YANG_DIR = Path(__file__).resolve().parent.parent / "yang"

#: The blocks of a domain (ETSI GS MEC 003 clause 6).
BLOCKS = ("oss", "meo", "mepm", "mep", "vim")

IN_MEMORY = ":memory:"

_LIMITS = DefaultLimits()


@dataclass(frozen=True)
class Endpoint:
    """A transport address: host (IP address without brackets, or name) and TCP or UDP port (0: any free one)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether the host is this machine and cannot be reached from another one."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass(frozen=True)
class ModuleChoice:
    """A YANG module to implement, with the features that are on; `("*",)` for all of them."""

    name: str
    features: tuple[str, ...] = ()


# How strings become values.  The length of a name is bounded as in DNS, so that names fit in certificates and zones.

_LABELS = r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?)*"
_YANG_NAME = r"[A-Za-z_][A-Za-z0-9_.-]*"


def _endpoint(text: str) -> Endpoint | None:
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^\[\]:/\s]+)):([0-9]{1,5})", text)
    if found is None or int(found[3]) > 65535:
        return None
    if found[1] is not None:
        ipaddress.IPv6Address(found[1])
    elif re.fullmatch(r"[0-9.]+", found[2]):
        ipaddress.IPv4Address(found[2])
    elif not re.fullmatch(_LABELS, found[2]):
        return None
    return Endpoint(found[1] or found[2], int(found[3]))


def _module(text: str) -> ModuleChoice | None:
    if not re.fullmatch(rf"{_YANG_NAME}(:(\*|{_YANG_NAME}(,{_YANG_NAME})*))?", text):
        return None
    name, _, features = text.partition(":")
    return ModuleChoice(name, tuple(features.split(",")) if features else ())


def _name(text: str) -> str | None:
    return text if re.fullmatch(_LABELS, text) else None


def _store(found: object, where: Where) -> Path | None:
    return None if found == IN_MEMORY else path("file").read(found, where)


def _group(text: str) -> int | None:
    try:
        return grp.getgrnam(text).gr_gid
    except KeyError:
        return None


def _key_lines(found: object, where: Where) -> tuple[str, ...]:
    """Entries are public keys, or the paths of files of them (sshd(8), AUTHORIZED_KEYS FILE FORMAT)."""
    lines: list[str] = []
    for entry in many(TEXT).read(found, where):
        if KEY_TYPE.match(entry) and " " in entry:
            lines.append(entry)
            continue
        file = path("file of public keys", test=Path.is_file).read(entry, where)
        try:
            text = file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{file}: cannot be read: {error}") from None
        lines += [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]
    for line in lines:
        public_key(line)
    return tuple(lines)


def _size(text: str) -> int | None:
    found = re.fullmatch(r"([1-9][0-9]{0,5}) ?(KiB|MiB)", text)
    return int(found[1]) * (1024 if found[2] == "KiB" else 1024 * 1024) if found else None


HOST_NAME = matching('a name of letters, digits, "-", "_" and "."', _name)
ENDPOINT = matching('"ADDRESS:PORT", for instance "127.0.0.1:8443" or "[::1]:8443"', _endpoint)
MODULE = matching('"MODULE", "MODULE:FEATURE,FEATURE" or "MODULE:*"', _module)
SIZE = matching('a number and "KiB" or "MiB", for instance "32 MiB"', _size)
FILE = path("file", test=Path.is_file)
FOLDER = path("folder", test=Path.is_dir)
STORE = Kind(f'the path of a file, or "{IN_MEMORY}"', _store)
KEY_LINES = Kind("an array of public keys, or of files of them", _key_lines)
PASSWORD_HASH = matching(
    "a hash that begins with $5$ or $6$, as `openssl passwd -6` prints",
    lambda text: text if HASH.fullmatch(text) else None,
    secret=True,
)
FINGERPRINT = matching('"sha256:" and 64 hexadecimal digits', fingerprint_of)
COUNT = whole(1, 1_000_000)
SECONDS = whole(1, 86_400)
BYTES = whole(1024, 4 * 1024**3)
WORK = whole(1000, 1_000_000_000)
GROUP = matching("the name of a system group", _group)
MODE = matching(
    'permissions in octal, for instance "0660"',
    lambda text: int(text, 8) if re.fullmatch("0?[0-7]{3}", text) else None,
)
COUNTRY = matching(
    "two capital letters (ISO 3166-1), for instance ES", lambda text: text if re.fullmatch("[A-Z]{2}", text) else None
)


@dataclass(frozen=True, kw_only=True)
class Domain:
    id: str = setting(HOST_NAME, "Identifier of this domain, unique among its partners.")
    name: str = setting(TEXT, "Name of the domain for people.", default="")
    operator: str = setting(TEXT, "Organisation that runs the domain.", default="")
    country: str | None = setting(COUNTRY, "Country of the domain.", default=None)
    blocks: tuple[str, ...] = setting(many(one_of(*BLOCKS)), "Functional blocks that the domain runs.", default=BLOCKS)


@dataclass(frozen=True, kw_only=True)
class Yang:
    path: tuple[Path, ...] = setting(many(FOLDER), "Folders searched for YANG modules, before our own.", default=())
    modules: tuple[ModuleChoice, ...] = setting(
        many(MODULE), "Modules to serve; none: our own. NAME:* switches all features on.", default=()
    )

    def check(self) -> None:
        names = [module.name for module in self.modules]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"modules: {twice} is there twice; name all its features in one entry")


@dataclass(frozen=True, kw_only=True)
class Store:
    """Where the datastores live; `path` None keeps them in memory."""

    path: Path | None = setting(STORE, f'Database of the datastores; "{IN_MEMORY}" forgets them at the end.')
    startup: Path | None = setting(
        FILE, "XML or JSON file whose configuration an empty store starts from.", default=None
    )
    sync: bool = setting(
        BOOLEAN,
        "Whether a change is on the disk before it is answered. With false a power cut, or a crash of the operating "
        "system, can lose the last changes, though they were answered; a crash of the daemon loses none.",
        default=True,
    )


@dataclass(frozen=True, kw_only=True)
class Ssh:
    listen: Endpoint = setting(ENDPOINT, "Address and port of NETCONF over SSH (RFC 6242; 830 is the assigned port).")
    host_key: Path = setting(FILE, "Private host key that the server shows.")


@dataclass(frozen=True, kw_only=True)
class Tls:
    listen: Endpoint = setting(ENDPOINT, "Address and port of NETCONF over TLS (RFC 7589; 6513 is the assigned port).")
    cert: Path = setting(FILE, "Certificate of the server, followed by its chain (PEM).")
    key: Path = setting(FILE, "Private key of the certificate (PEM).")
    client_ca: Path = setting(FILE, "Authorities whose client certificates are believed (PEM).")


@dataclass(frozen=True, kw_only=True)
class Unix:
    path: Path = setting(
        path("socket"), "Unix socket of NETCONF, for the forwarder of OpenSSH; the peer's user is the user."
    )
    mode: int | None = setting(MODE, "Permissions of the socket, 0600 unless said: who may connect.", default=None)
    group: int | None = setting(GROUP, "System group of the socket.", default=None)


@dataclass(frozen=True, kw_only=True)
class Netconf:
    ssh: Ssh | None = table(Ssh, "NETCONF over SSH.", default=None)
    tls: Tls | None = table(Tls, "NETCONF over TLS.", default=None)
    unix: Unix | None = table(Unix, "NETCONF on a Unix socket.", default=None)


@dataclass(frozen=True, kw_only=True)
class Restconf:
    listen: Endpoint = setting(ENDPOINT, "Address and port of RESTCONF (RFC 8040).")
    cert: Path | None = setting(FILE, "Certificate of the server, followed by its chain (PEM).", default=None)
    key: Path | None = setting(FILE, "Private key of the certificate (PEM).", default=None)
    client_ca: Path | None = setting(FILE, "Authorities whose client certificates are believed (PEM).", default=None)
    insecure: bool = setting(
        BOOLEAN, "Plain HTTP, on a loopback address only; certificates are not used.", default=False
    )

    max_request: int | None = setting(SIZE, "Largest request body; packages have a limit of their own.", default=None)
    max_answer: int | None = setting(SIZE, "Largest answer with data; who asks for more is refused.", default=None)

    def check(self) -> None:
        if self.insecure and not self.listen.loopback:
            raise ValueError(f"insecure: plain HTTP is for a loopback address only, and {self.listen.host} is none")
        if not self.insecure and None in (self.cert, self.key):
            raise ValueError("cert and key are both needed (or insecure = true, on a loopback address)")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What clients may ask for; `nms.limits` says what each is for."""

    sessions: int = setting(COUNT, "NETCONF sessions at the same time, over every transport.", default=_LIMITS.sessions)
    sessions_per_user: int = setting(COUNT, "Sessions of one user.", default=_LIMITS.sessions_per_user)
    channels: int = setting(COUNT, "Sessions in one SSH connection.", default=_LIMITS.channels)
    connections: int = setting(COUNT, "HTTP connections of one RESTCONF listener.", default=_LIMITS.connections)
    logins: int = setting(
        COUNT, "Connections that have not proven yet who they are, over every transport.", default=_LIMITS.logins
    )
    logins_per_address: int = setting(COUNT, "Those from one address.", default=_LIMITS.logins_per_address)
    login_time: int = setting(
        SECONDS,
        "Seconds for the TLS handshake, the SSH authentication or the first request.",
        default=_LIMITS.login_time,
    )
    login_failures: int = setting(
        COUNT, "Wrong passwords and unknown keys until a connection is hung up.", default=_LIMITS.login_failures
    )
    hello_time: int = setting(SECONDS, "Seconds until a client's <hello> must be there.", default=_LIMITS.hello_time)
    message_size: int = setting(BYTES, "Bytes of one NETCONF message of a client.", default=_LIMITS.message_size)
    message_time: int = setting(
        SECONDS, "Seconds after which an incomplete message must have come fast enough.", default=_LIMITS.message_time
    )
    message_rate: int = setting(COUNT, "Bytes a second that are fast enough, on average.", default=_LIMITS.message_rate)
    head_size: int = setting(
        BYTES, "Bytes of the request line and headers of an HTTP request.", default=_LIMITS.head_size
    )
    head_time: int = setting(SECONDS, "Seconds until they must be there.", default=_LIMITS.head_time)
    idle_time: int = setting(
        SECONDS, "Seconds that an HTTP connection may be without a request.", default=_LIMITS.idle_time
    )
    send_time: int = setting(
        SECONDS, "Seconds that a client may take nothing of what waits for it.", default=_LIMITS.send_time
    )
    notifications: int = setting(
        COUNT,
        "Notifications that wait for a NETCONF subscriber to read until it is closed.",
        default=_LIMITS.notifications,
    )
    event_streams: int = setting(COUNT, "Event streams of RESTCONF.", default=_LIMITS.event_streams)
    event_backlog: int = setting(
        COUNT, "Notifications that wait for the client of one until it is closed.", default=_LIMITS.event_backlog
    )
    subscriptions: int = setting(COUNT, "Dynamic subscriptions (RFC 8639).", default=_LIMITS.subscriptions)
    subscriptions_per_session: int = setting(
        COUNT, "Those of one session, or of one user over RESTCONF.", default=_LIMITS.subscriptions_per_session
    )
    subscription_backlog: int = setting(
        COUNT, "Notifications that wait for one's receiver until it is suspended.", default=_LIMITS.subscription_backlog
    )
    filter_work: int = setting(
        WORK, "Units of work of a client's filter, about a microsecond each.", default=_LIMITS.filter_work
    )
    subscriber_filter_work: int = setting(
        WORK,
        "Units of work of a subscriber's filter, each time that something happens.",
        default=_LIMITS.subscriber_filter_work,
    )
    user_filter_work: int = setting(
        WORK, "Units of work of all subscribers' filters of one user in a second.", default=_LIMITS.user_filter_work
    )


@dataclass(frozen=True, kw_only=True)
class User:
    name: str = setting(TEXT, "Name that the user logs in with.")
    authorized_keys: tuple[str, ...] = setting(KEY_LINES, "SSH public keys of the user, or files of them.", default=())
    password_hash: str | None = setting(
        PASSWORD_HASH, "iana-crypt-hash of RFC 7317, from `openssl passwd -6`.", default=None
    )
    certificates: tuple[str, ...] = setting(
        many(FINGERPRINT), "SHA-256 fingerprints of the user's client certificates.", default=()
    )
    groups: tuple[str, ...] = setting(many(TEXT), "NACM groups of the user, beside those in the datastore.", default=())
    recovery: bool = setting(
        BOOLEAN, "Recovery session of RFC 8341: access control does not bind this user.", default=False
    )


@dataclass(frozen=True, kw_only=True)
class Zone:
    id: str = setting(HOST_NAME, "Identifier of the zone; partners may be shown it.")
    geography: str = setting(TEXT, "Where the zone is, for people.", default="")


@dataclass(frozen=True, kw_only=True)
class Driver:
    """Which driver, and what it is told: the keys are the driver's own, which refuses those that it does not know."""

    name: str = setting(TEXT, "Name of the driver, as its entry point has it.", default="embedded")
    options: Mapping[str, object] = remainder("Keys of the driver.")


@dataclass(frozen=True, kw_only=True)
class Drivers:
    state: Path | None = setting(path("folder"), "Folder in which each driver keeps its own.", default=None)
    vim: Driver = table(Driver, "Virtual infrastructure.", default=Driver())
    dns: Driver = table(Driver, "Name server.", default=Driver())
    dataplane: Driver = table(Driver, "Data plane.", default=Driver())


@dataclass(frozen=True, kw_only=True)
class Packages:
    path: Path | None = setting(path("folder"), "Folder of on-boarded packages, by digest.", default=None)
    trusted_keys: tuple[Path, ...] = setting(many(FILE), "Public keys that may sign packages (PEM).", default=())
    require_signature: bool = setting(BOOLEAN, "Refuse packages that no trusted key has signed.", default=False)

    def check(self) -> None:
        if self.require_signature and not self.trusted_keys:
            raise ValueError("require-signature without trusted-keys would refuse every package")


@dataclass(frozen=True, kw_only=True)
class Federation:
    """Who this domain is towards its partners: one SSH key, one client certificate."""

    key: Path | None = setting(FILE, "Private SSH key that the domain logs in with at partners.", default=None)
    cert: Path | None = setting(FILE, "Client certificate that the domain fetches packages with (PEM).", default=None)
    cert_key: Path | None = setting(FILE, "Private key of that certificate (PEM).", default=None)
    call_home: Endpoint | None = setting(
        ENDPOINT,
        "Where partners that call home connect to (RFC 8071, over SSH; 4334 is the assigned port).",
        default=None,
    )

    def check(self) -> None:
        if self.call_home is not None and self.key is None:
            raise ValueError("call-home needs a key to log in with at those who call")
        if (self.cert is None) != (self.cert_key is None):
            raise ValueError("cert and cert-key go together")


@dataclass(frozen=True, kw_only=True)
class Config:
    """All that a daemon is told at its start."""

    domain: Domain = table(Domain, "Identity of the domain.")
    yang: Yang = table(Yang, "Models to serve.", default=Yang())
    store: Store = table(Store, "Where the datastores live.")
    netconf: Netconf = table(Netconf, "NETCONF listeners.", default=Netconf())
    limits: Limits = table(Limits, "What clients may ask for.", default=Limits())
    restconf: Restconf | None = table(Restconf, "RESTCONF listener.", default=None)
    users: tuple[User, ...] = tables(User, "Who may log in.", name="user")
    zones: tuple[Zone, ...] = tables(Zone, "Zones of the domain.", name="zone")
    drivers: Drivers = table(Drivers, "What the domain is made of.", default=Drivers())
    packages: Packages = table(Packages, "Application packages.", default=Packages())
    federation: Federation = table(Federation, "Identity towards partners.", default=Federation())

    @property
    def client_authorities(self) -> tuple[Path, ...]:
        """The files of the authorities whose client certificates are believed."""
        return tuple(each.client_ca for each in (self.netconf.tls, self.restconf) if each and each.client_ca)

    def check(self) -> None:
        netconf = self.netconf
        if not (netconf.ssh or netconf.tls or netconf.unix or self.restconf):
            raise ValueError("nothing listens: add [netconf.ssh], [netconf.tls], [netconf.unix] or [restconf]")
        _unique("user", "name", self.users)
        _unique("zone", "id", self.zones)
        owner: dict[str, str] = {}
        for user in self.users:
            for certificate in user.certificates:
                if owner.setdefault(certificate, user.name) != user.name:
                    raise ValueError(
                        f"[[user]] {user.name}: certificates: {certificate} is {owner[certificate]}'s already"
                    )


def _unique(header: str, name: str, rows: tuple[Any, ...]) -> None:
    seen = set()
    for row in rows:
        value = getattr(row, name)
        if value in seen:
            raise ValueError(f"[[{header}]] {value}: there twice")
        seen.add(value)


def load(file: Path) -> Config:
    """Read the configuration of a daemon.

    Raises:
        ConfigError: one line naming the file, the key, what was found and what is expected.
    """
    return read_file(Config, file)
