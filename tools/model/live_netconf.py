"""A server's modules over NETCONF: ``netconf-state/schemas`` lists them, <get-schema> gives their text (RFC 6022).

Servers of every make have both.  The session is ncclient's; a host key is good that ``~/.ssh/known_hosts`` holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from nms.errors import ConfigError, RpcError

_MONITORING: Final = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
_LISTED: Final = ("identifier", "version", "format")
_SCHEMAS: Final = f'<netconf-state xmlns="{_MONITORING}"><schemas/></netconf-state>'


class Netconf:
    """A `tools.model.live.Source`.

    Args:
        session: of ncclient.
    """

    def __init__(self, session: Any) -> None:
        self._session = session

    def revisions(self) -> dict[str, str]:
        """As in `Source`; of a module in several revisions the newest."""
        found: dict[str, str] = {}
        reply = _ask(lambda: self._session.get(("subtree", _SCHEMAS)))
        for schema in reply.data_ele.iter(f"{{{_MONITORING}}}schema"):
            said = {name: (schema.findtext(f"{{{_MONITORING}}}{name}") or "").strip() for name in _LISTED}
            if said["format"].rpartition(":")[2] == "yang":
                name = said["identifier"]
                found[name] = max(said["version"], found.get(name, ""))
        return found

    def text(self, name: str, revision: str) -> bytes:
        """As in `Source`."""
        reply = _ask(lambda: self._session.get_schema(name, version=revision or None))
        return str(reply.data or "").encode()


def _ask(question: Callable[[], Any]) -> Any:
    from ncclient import NCClientError

    try:
        return question()
    except NCClientError as error:
        raise RpcError("operation-failed", "; ".join(str(error).split("\n"))) from None


@contextmanager
def connect(url: str, key: Path | None = None) -> Iterator[Netconf]:
    """A session with the server at ``netconf://USER@HOST:PORT``.

    Args:
        key: private key; without one those of the agent and of ``~/.ssh`` are tried.

    Raises:
        ConfigError: the URL is none, nobody answers, or it is not who it should be, or does not let us in.
    """
    from ncclient import NCClientError, manager

    parts = urlsplit(url)
    if parts.scheme != "netconf" or parts.hostname is None:
        raise ConfigError(f"{url}: a URL is wanted as in netconf://user@host:830")
    try:
        session = manager.connect_ssh(
            host=parts.hostname, port=parts.port or 830, username=parts.username, timeout=30,
            key_filename=None if key is None else str(key), allow_agent=key is None, look_for_keys=key is None,
        )  # fmt: skip
    except (NCClientError, OSError) as error:
        raise ConfigError(f"{url}: no session: {error}") from None
    with session:
        yield Netconf(session)
