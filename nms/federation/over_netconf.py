"""A conversation with a partner over NETCONF (RFC 6241, 5277): over SSH (RFC 6242) or TLS (RFC 7589).

Members of our models become the XML of the protocol and back (`nms.federation.payload`); how it is carried is
`nms.federation.netconf_client`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lxml import etree
from ncclient.transport.errors import TransportError

from nms.errors import RpcError
from nms.federation import netconf_client, pinned
from nms.federation.client import Event, Recorder, unreachable
from nms.federation.netconf_client import EVENTS
from nms.federation.payload import action_element, config_element, filter_element, members_of, tree_of
from nms.mec.session import DataEdit, Members
from nms.model import json, xml
from nms.model.schema import Schema
from nms.operations.request import Content

_MONITORING: Final = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"


class NetconfClient:
    """See `nms.federation.client.Client`."""

    def __init__(self, schema: Schema, session: netconf_client.Client) -> None:
        self._schema = schema
        self._session = session

    @property
    def messages_in(self) -> int:
        """See `Client.messages_in`."""
        return self._session.messages_in

    @property
    def messages_out(self) -> int:
        """See `Client.messages_out`."""
        return self._session.messages_out

    @property
    def connected(self) -> bool:
        """See `Client.connected`."""
        return self._session.connected

    def edit(self, base: str, edits: Sequence[DataEdit]) -> None:
        """See `Client.edit`: one <edit-config> (RFC 6241 section 7.2)."""
        self._session.edit(config_element(self._schema, base, edits))

    def get(self, path: str, content: Content = "all") -> Members | None:
        """See `Client.get`: <get>, or <get-config> of running, with a subtree filter."""
        data = self._session.get(filter_element(self._schema, path), config=content == "config")
        return members_of(self._schema, tree_of(self._schema, data), path, content)

    def invoke(self, path: str, action: str, input: Mapping[str, Any]) -> Members:
        """See `Client.invoke` (RFC 7950 section 7.15.2)."""
        node, element = action_element(self._schema, path, action, input)
        reply = self._session.call(element)
        output = next(child for child in node.children if child.kind == "output")
        return json.plain(output, xml.decode(output, reply)) if len(reply) and output.children else {}

    def schema(self, name: str, revision: str) -> bytes:
        """See `Client.schema`: <get-schema> (RFC 6022 section 3.1)."""
        asked = etree.Element(f"{{{_MONITORING}}}get-schema")
        etree.SubElement(asked, f"{{{_MONITORING}}}identifier").text = name
        if revision:
            etree.SubElement(asked, f"{{{_MONITORING}}}version").text = revision
        return "".join(self._session.call(asked).itertext()).encode()

    def subscribe(self) -> None:
        """See `Client.subscribe`: <create-subscription> to the stream NETCONF (RFC 5277)."""
        self._session.subscribe()

    def notification(self, timeout: float) -> Event | None:
        """See `Client.notification`."""
        message = self._session.notification(timeout)
        return None if message is None else self._event(message)

    def close(self) -> None:
        """See `Client.close`."""
        self._session.close()

    def _event(self, message: etree._Element) -> Event | None:
        for element in message:
            name = etree.QName(element)
            module = self._schema.module_of_namespace.get(name.namespace or "")
            node = self._schema.notifications.get((module or "", name.localname))
            if name.namespace != EVENTS and node is not None:
                return Event(f"{node.module}:{node.name}", json.plain(node, xml.decode(node, element)))
        return None  # of a model that we do not have: nothing that we could understand


@dataclass(frozen=True, slots=True)
class SshEndpoint:
    """A partner's NETCONF server over SSH, see `nms.federation.client.Endpoint`.

    Attributes:
        host_key: its public host key in the one-line format of OpenSSH; the only one accepted.
    """

    id: str
    address: str
    port: int
    host_key: str
    user: str
    key: Path
    timeout: float
    protocol: Final[str] = "netconf-ssh"

    def open(self, schema: Schema, recorder: Recorder | None = None) -> NetconfClient:
        """See `Endpoint.open`."""
        peer = netconf_client.Peer(self.address, self.port, self.host_key, self.user, self.key, self.timeout)
        return NetconfClient(schema, netconf_client.Client(peer, recorder))


@dataclass(frozen=True, slots=True)
class TlsEndpoint(pinned.PinnedEndpoint):
    """A partner's NETCONF server over TLS."""

    protocol: Final[str] = "netconf-tls"

    def open(self, schema: Schema, recorder: Recorder | None = None) -> NetconfClient:
        """See `Endpoint.open`."""
        secured = self.connect()
        try:
            session = netconf_client.Client.over(pinned.in_clear(secured), str(self), self.timeout, recorder)
        except RpcError as error:
            raise unreachable(error.message) from None
        except (TransportError, OSError, EOFError) as error:
            raise unreachable(f"{self}: {error or type(error).__name__}") from error
        return NetconfClient(schema, session)
