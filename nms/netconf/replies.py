"""What goes back: <rpc-reply> with ok, data, output or errors (RFC 6241 section 4), and <notification> (RFC 5277).

The only place where an `RpcError` becomes an <rpc-error>.  Messages are built as bytes: the datastore's encoder gives
bytes that are often memoised, and parsing them again to nest them would cost more than the rest of the reply.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final
from xml.sax.saxutils import escape

from nms.errors import YANG_INFO, ErrorData, RpcError
from nms.model import annotated, tree, xml
from nms.model.path import InstancePath
from nms.model.schema import Module, Node
from nms.model.values import Value
from nms.netconf.framing import Outgoing
from nms.netconf.messages import MONITORING, NETCONF, NMDA, NOTIFICATION, YANG, Envelope
from nms.operations.request import Reply

_NETCONF: Final = NETCONF.encode()

#: Operation -> namespace of its reply's <data>; other replies hold the output's nodes themselves.
DATA_NAMESPACE: Final[Mapping[str, bytes]] = {
    f"{{{NETCONF}}}get": _NETCONF,
    f"{{{NETCONF}}}get-config": _NETCONF,
    f"{{{NMDA}}}get-data": NMDA.encode(),
    f"{{{MONITORING}}}get-schema": MONITORING.encode(),
}

_OK: Final = b'<ok xmlns="%b"/>' % _NETCONF

#: A reply of more bytes is left in pieces: they are remembered anyway, and need not be copied into one.
_LARGE: Final = 1024 * 1024

_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TOKEN: Final = re.compile(r"'[^']*'|\"[^\"]*\"|([A-Za-z_][\w.-]*):")


def _text(text: str) -> str:
    """`text` as XML character data; what XML cannot hold becomes a replacement character."""
    return escape(_NOT_XML.sub("\ufffd", text))


def reply(envelope: Envelope, operation: str, answer: Reply) -> Outgoing:
    """The <rpc-reply> of a successful operation.

    Args:
        operation: tag of the operation's element; it decides how the content is wrapped.
    """
    body = _content(answer)
    start, end = envelope.start, envelope.end
    namespace = DATA_NAMESPACE.get(operation)
    if namespace is not None:
        declared = b"" if envelope.default and namespace == _NETCONF else b' xmlns="%b"' % namespace
        start, end = b"%b<data%b>" % (start, declared), b"</data>%b" % end
    elif not any(body):  # RFC 7950 section 7.14.4: no output parameters are returned
        body = [b"<ok/>" if envelope.default else _OK]
    pieces = [start, *body, end]
    return pieces if sum(map(len, pieces)) > _LARGE else b"".join(pieces)


def _content(answer: Reply) -> Sequence[bytes]:
    if answer.text is not None:
        return [_text(answer.text).encode()]
    if answer.node is None or answer.data is None:
        return []
    if answer.basis is not None:
        return [annotated.to_xml(answer.node, answer.data, answer.basis)]
    return xml.encode_pieces(answer.node, answer.data)


def error_reply(envelope: Envelope, errors: Iterable[RpcError], modules: Mapping[str, Module]) -> bytes:
    """The <rpc-reply> of an operation that failed.

    Args:
        modules: the served modules by name, for the namespaces of error-path's prefixes.
    """
    declared = "" if envelope.default else f' xmlns="{NETCONF}"'
    body = "".join(f"<rpc-error{declared}>{_error(error, modules)}</rpc-error>" for error in errors)
    return b"%b%b%b" % (envelope.start, body.encode(), envelope.end)


def _error(error: RpcError, modules: Mapping[str, Module]) -> str:
    """The children of <rpc-error> in the schema's order (RFC 6241 section 4.3)."""
    parts = [
        f"<error-type>{error.type}</error-type><error-tag>{error.tag}</error-tag><error-severity>error</error-severity>"
    ]
    if error.app_tag:
        parts.append(f"<error-app-tag>{_text(error.app_tag)}</error-app-tag>")
    if error.path:
        parts.append(f"<error-path{_prefixes(error.path, modules)}>{_text(error.path)}</error-path>")
    if error.message:
        parts.append(f'<error-message xml:lang="en">{_text(error.message)}</error-message>')
    if error.info or error.data:
        items = [_info(name, text) for name, texts in error.info.items() for text in texts.split("\n")]
        if error.data:
            items.append(_data(error.data, modules))
        parts.append(f"<error-info>{''.join(items)}</error-info>")
    return "".join(parts)


def _info(name: str, value: str) -> str:
    declared = f' xmlns="{YANG}"' if name in YANG_INFO else ""
    return f"<{name}{declared}>{_text(value)}</{name}>"


def _data(data: ErrorData, modules: Mapping[str, Module]) -> str:
    leafs = "".join(
        f"<{name}{_prefixes(str(value), modules)}>{_text(str(value))}</{name}>" for name, value in data.leafs.items()
    )
    return f'<{data.name} xmlns="{escape(modules[data.module].namespace)}">{leafs}</{data.name}>'


def _prefixes(path: str, modules: Mapping[str, Module]) -> str:
    """Declarations that make the module names in `path` XML prefixes (RFC 7950 section 9.13)."""
    used = dict.fromkeys(match[1] for match in _TOKEN.finditer(path) if match[1])
    return "".join(f' xmlns:{name}="{escape(modules[name].namespace)}"' for name in used if name in modules)


def notification(node: Node, path: InstancePath, value: Value | None, time: datetime) -> bytes:
    """A <notification> message; one that hangs on a data node stands inside its ancestors (RFC 7950 section 7.16.2).

    Args:
        node: the notification's schema node.
        path: the data node's instance that it hangs on, empty for a top-level one.
        time: when the event happened, with its offset.
    """
    when = time.isoformat().replace("+00:00", "Z").encode()
    start, end = [], []
    for step, key in path:
        keys = b"" if key is None else xml.encode(step, tree.blank_entry(step, key))
        start.append(b'<%b xmlns="%b">%b' % (step.name.encode(), step.namespace.encode(), keys))
        end.append(b"</%b>" % step.name.encode())
    start.append(b'<%b xmlns="%b">' % (node.name.encode(), node.namespace.encode()))
    end.append(b"</%b>" % node.name.encode())
    return b'<notification xmlns="%b"><eventTime>%b</eventTime>%b%b%b</notification>' % (
        NOTIFICATION.encode(),
        when,
        b"".join(start),
        b"" if value is None else xml.encode(node, value),
        b"".join(reversed(end)),
    )
