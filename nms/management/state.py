"""What is in force, as the state of mec-management: limits, counters, every listener, every client that is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

from nms.limits import Limits
from nms.management.settings import TOP, Place
from nms.model import json
from nms.model.schema import Schema
from nms.model.values import Value
from nms.transport.callhome import CallHome
from nms.transport.door import Door
from nms.transport.listener import Address

#: Limits of type uint64.
_WIDE: Final = frozenset(("message_size", "max_request", "max_answer"))


class State:
    """Computes /mec-management:management/state at each read; any thread.

    Args:
        fixed: (transport, address) of the file's listeners.
        door: who is counted.

    Attributes:
        listeners: of the datastore, by name.
        problems: name of a listener -> why it does not listen.
        calling: by the client's name.
    """

    def __init__(self, schema: Schema, fixed: Sequence[tuple[str, Address]], door: Door) -> None:
        self.listeners: Mapping[str, Place] = {}
        self.problems: dict[str, str] = {}
        self.calling: dict[str, CallHome] = {}
        self._node = schema.find(f"{TOP}/state")
        self._fixed = fixed
        self._door = door

    def value(self) -> Value:
        """The container's value."""
        return json.decode(self._node, self._members())

    def _members(self) -> dict[str, Any]:
        door, limits = self._door, self._door.limits
        return {
            "limits": _limits(limits),
            "counters": {
                "sessions": door.sessions.taken,
                "logins": door.logins.taken,
                "refused-sessions": door.sessions.refused,
                "refused-logins": door.logins.refused,
                "failed-logins": door.failed_logins,
            },
            "listener": [*self._of_the_file(), *map(self._configured, self.listeners.items())],
            "call-home-client": [_client(call) for call in list(self.calling.values())],
        }

    def _of_the_file(self) -> list[dict[str, Any]]:
        names: dict[str, dict[str, Any]] = {}
        for protocol, address in self._fixed:
            base = protocol.replace("-", ".", 1)
            name = base if base not in names else f"{base}#{len(names)}"  # a host with several addresses
            names[name] = {"name": name, "origin": "file", **_address(address)}
        return list(names.values())

    def _configured(self, named: tuple[str, Place]) -> dict[str, Any]:
        name, place = named
        problem = self.problems.get(name)
        entry = {"name": name, "origin": "configuration", "address": place.host, "port": place.port}
        return entry | ({"problem": problem} if problem else {})


def _limits(limits: Limits) -> dict[str, Any]:
    """Every limit under the name that its key has in the file."""
    shown = {field.name: getattr(limits, field.name) for field in fields(limits)}
    return {name.replace("_", "-"): str(held) if name in _WIDE else int(held) for name, held in shown.items()}


def _address(address: Address) -> dict[str, Any]:
    return {"address": address} if isinstance(address, str) else {"address": address[0], "port": address[1]}


def _client(call: CallHome) -> dict[str, Any]:
    members: dict[str, Any] = {
        "name": call.client.name,
        "status": call.state,
        "calls": call.calls,
        "failures": call.failures,
    }
    if call.last_error:
        members["last-error"] = call.last_error
    if call.endpoint is not None:
        members["endpoint"] = f"{call.endpoint[0]} port {call.endpoint[1]}"
    return members
