"""A domain's operator, who has nothing but a protocol: configures, calls, reads and listens over NETCONF or RESTCONF.

What is read comes as RFC 7951 members either way, so that a test says once what it expects.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Protocol
from urllib.parse import quote

import pytest
from lxml import etree
from ncclient import manager
from ncclient.xml_ import to_ele

from nms import init
from nms.client import Client
from nms.federation import payload
from nms.mec.session import DataEdit, Members
from nms.model import json, xml
from tests.federation.two_domains import Domain, until

#: For what has to be seen over both protocols.
OUTSIDE = pytest.mark.parametrize("outside", ["netconf", "restconf"])


class Operator(Protocol):
    """What both can; every call blocks."""

    def edit(self, path: str, data: Any, operation: str = "merge") -> None:
        """Change what is at `path`, an instance-identifier."""

    def call(self, module: str, rpc: str, input: Members) -> None:
        """Call an rpc without output."""

    def read(self, path: str) -> Members:
        """Members of what is at `path` in the operational state; {} where there is nothing."""

    def events(self) -> Iterator[Members]:
        """Notifications, without end: {"module:name": members}."""

    def close(self) -> None:
        """Log out."""


class Netconf:
    """An `Operator` over NETCONF and SSH (ncclient)."""

    def __init__(self, domain: Domain) -> None:
        self._schema = domain.core.schema
        self._where = {"host": "127.0.0.1", "port": domain.port, "username": "admin"}
        self._key = str(domain.folder / "admin_key")
        self._session = self._connect()
        self._listening: list[Any] = []

    def _connect(self) -> Any:
        return manager.connect(
            **self._where, key_filename=self._key, hostkey_verify=False, look_for_keys=False, allow_agent=False
        )

    def edit(self, path: str, data: Any, operation: Any = "merge") -> None:
        """See `Operator.edit`."""
        config = payload.config_element(self._schema, "", [DataEdit(path, operation, data)])
        self._session.edit_config(target="running", config=config)

    def call(self, module: str, rpc: str, input: Members) -> None:
        """See `Operator.call`."""
        node = self._schema.rpcs[module, rpc]
        leafs = "".join(f"<{name}>{value}</{name}>" for name, value in input.items())
        self._session.dispatch(to_ele(f'<{rpc} xmlns="{node.namespace}">{leafs}</{rpc}>'))

    def read(self, path: str) -> Members:
        """See `Operator.read`."""
        wanted = etree.tostring(payload.filter_element(self._schema, path)[0]).decode()
        data = etree.fromstring(self._session.get(("subtree", wanted)).data_xml.encode())
        return payload.members_of(self._schema, payload.tree_of(self._schema, data), path) or {}

    def events(self) -> Iterator[Members]:
        """See `Operator.events`."""
        session = self._connect()
        self._listening.append(session)
        session.create_subscription()
        while session.connected:
            found = session.take_notification(timeout=0.2)
            if found is None:
                continue
            element = found.notification_ele[-1]
            name = etree.QName(element)
            module = self._schema.module_of_namespace[name.namespace or ""]
            node = self._schema.notifications.get((module, name.localname))
            if node is not None:
                yield {f"{module}:{name.localname}": json.plain(node, xml.decode(node, element))}

    def close(self) -> None:
        """See `Operator.close`."""
        for session in (self._session, *self._listening):
            with contextlib.suppress(Exception):  # it may have been closed by the other side
                session.close_session()


class Restconf:
    """An `Operator` over RESTCONF (the client of the command line)."""

    def __init__(self, domain: Domain) -> None:
        self._client = Client.of(domain.folder / init.CONFIG_NAME)
        self._closed = False

    def edit(self, path: str, data: Any, operation: str = "merge") -> None:
        """See `Operator.edit`."""
        method = {"merge": "PATCH", "replace": "PUT", "create": "PUT", "remove": "DELETE"}[operation]
        self._client.write(method, _uri(path), None if operation == "remove" else _document(path, data))

    def call(self, module: str, rpc: str, input: Members) -> None:
        """See `Operator.call`."""
        self._client.invoke(f"operations/{module}:{rpc}", {f"{module}:input": input})

    def read(self, path: str) -> Members:
        """See `Operator.read`."""
        return self._client.read(_uri(path))

    def events(self) -> Iterator[Members]:
        """See `Operator.events`."""
        for event in self._client.events():
            if self._closed:
                return
            body = event["ietf-restconf:notification"]
            yield {name: members for name, members in body.items() if name != "eventTime"}

    def close(self) -> None:
        """See `Operator.close`."""
        self._closed = True


def _uri(path: str) -> str:
    """An instance-identifier as an api-path (RFC 8040 section 3.5.3)."""
    keys = re.compile(r"((?:\[[^=]+='[^']*'\])+)")

    def values(found: re.Match[str]) -> str:
        return "=" + ",".join(quote(value, safe="") for value in re.findall(r"='([^']*)'", found[0]))

    return keys.sub(values, path).lstrip("/")


def _document(path: str, data: Any) -> Members:
    """The body that says `data` of what is at `path`: a container, or a list's entry."""
    last = re.split(r"/(?![^\[]*\])", path)[-1]
    name, keys = last.partition("[")[0], dict(re.findall(r"\[([^=]+)='([^']*)'\]", last))
    module = re.findall(r"/([a-z0-9-]+):", path)[-1]
    named = name if ":" in name else f"{module}:{name}"
    return {named: [keys | data]} if keys else {named: data}


_OPERATORS: dict[str, Callable[[Domain], Operator]] = {"netconf": Netconf, "restconf": Restconf}


class Seat:
    """Where an operator works in a test: calls are made in threads, and everything that comes is remembered."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._heard: list[Members] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(Exception):  # the server goes first at the end of a test
            for event in self._operator.events():
                self._heard.append(event)

    async def edit(self, path: str, data: Any = None, operation: str = "merge") -> None:
        """See `Operator.edit`."""
        await asyncio.to_thread(self._operator.edit, path, data, operation)

    async def call(self, module: str, rpc: str, **input: Any) -> None:
        """See `Operator.call`."""
        await asyncio.to_thread(self._operator.call, module, rpc, input)

    async def read(self, path: str) -> Members:
        """See `Operator.read`."""
        return await asyncio.to_thread(self._operator.read, path)

    def told(self, name: str, **wanted: Any) -> list[Members]:
        """The notifications of that name so far that have these members."""
        found = [event[name] for event in list(self._heard) if name in event]
        return [each for each in found if all(each.get(leaf) == value for leaf, value in wanted.items())]


@contextlib.asynccontextmanager
async def operating(domain: Domain, outside: str) -> AsyncIterator[Seat]:
    """The operator of `domain`, logged in over a protocol, who hears everything from now on."""
    operator = await asyncio.to_thread(_OPERATORS[outside], domain)
    try:
        seat = Seat(operator)
        names = itertools.count()

        async def heard() -> list[Members]:
            """What is heard proves that the subscription is there."""
            await seat.edit("/mec-federation:federation/domain", {"name": f"{domain.id} {next(names)}"})
            return seat.told("ietf-netconf-notifications:netconf-config-change")

        await until("the operator is subscribed", heard)
        yield seat
    finally:
        await asyncio.to_thread(operator.close)
