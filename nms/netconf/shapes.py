"""Requests that a session sends again and again, each time with other values: what was made of one serves the next.

A message is split into its markup and the texts between a start tag and its end tag.  The markup without the value of
message-id is its *shape*, as a database's statement with placeholders; the texts are its parameters.  For a shape that
has come before there are the checked operation, and the compiled filter of a read or the elements of a change: they
need the new values, and neither parsing nor translation.

It is a short cut and never a judge.  Messages of one shape differ in nothing but printable ASCII without markup, in
leafs and in message-id: the parser finds the same elements in them.  What the long way refuses is not remembered, and a
text that is no value of a filter or of a configuration must be the remembered one.  Nothing is executed here, and
access control is not this module's concern.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, cast

from lxml import etree

from nms.errors import RpcError
from nms.model import subtree, xml_edit
from nms.model.edit import Op
from nms.model.schema import Schema
from nms.netconf.messages import Envelope
from nms.operations.request import Commit, DiscardChanges, EditConfig, Get, Request, SubtreeFilter

#: A message of more bytes has no shape.
MAX_MESSAGE: Final = 1024

#: Shapes that a session has; the one that was used longest ago goes first.
MAX_SHAPES: Final = 16

_MESSAGE_ID: Final = b'message-id="'
#: The value of message-id, and that the operation may be one of those that are recognised.
_BEGIN: Final = re.compile(
    rb"""([^\x00-\x1f"&'<>\x7f-\xff]*)"[^<>]*>\s*<(?:[\w.-]+:)?(?:get|edit-|commit|discard-changes)"""
)
#: In another encoding than these declare, a text may not be what it seems.
_DECLARATION: Final = re.compile(rb"""\A<\?xml version=["']1\.0["']( encoding=["'](?i:utf-8|us-ascii)["'])?\s*\?>""")
_UNUSUAL: Final = re.compile(rb"&|<[!?]")
#: A text that can be a parameter; whitespace before it belongs to the markup.
_TEXT: Final = re.compile(rb">([^\x00- &<>\x7f-\xff][^\x00-\x1f&<>\x7f-\xff]*)</")


class Split(NamedTuple):
    """A message, taken apart.

    Attributes:
        markup: what is before the value of message-id, and the pieces between that and the texts.
    """

    markup: tuple[bytes, ...]
    message_id: bytes
    texts: Sequence[str]


def split(message: bytes) -> Split | None:
    """The parts of `message`, None if it cannot have a shape."""
    if len(message) > MAX_MESSAGE:
        return None
    at = message.find(_MESSAGE_ID)
    found = _BEGIN.match(message, at + len(_MESSAGE_ID)) if at >= 0 else None
    if found is None:
        return None
    begin, end = found.span(1)
    pieces = _TEXT.split(message[end:])
    return Split((message[:begin], *pieces[::2]), found[1], [text.decode() for text in pieces[1::2]])


#: The request of a message with these texts; None: the long way has to be taken.
_Make: TypeAlias = Callable[[Sequence[str]], Request | None]

#: Elements, and the places of their texts among all texts of the message.
_Places: TypeAlias = Mapping[etree._Element, int]


class _Shape(NamedTuple):
    """What was made of the messages of one shape.

    Attributes:
        before, after: the start tag of <rpc-reply> around the value of message-id.
        end, default: as in `Envelope`.
        make: the request for given texts.
        fixed: places and values of the texts that are no parameters.
    """

    before: bytes
    after: bytes
    end: bytes
    default: bool
    operation: str
    make: _Make
    fixed: Sequence[tuple[int, str]]


class Shapes:
    """The shapes of one session.  One is looked into when it comes the second time: many come only once."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._shapes: OrderedDict[tuple[bytes, ...], _Shape | None] = OrderedDict()

    def recall(self, parts: Split) -> tuple[Envelope, str, Request] | None:
        """Envelope of the reply, operation and request, as the long way has them; None if it has to be taken."""
        markup, message_id, texts = parts
        shape = self._shapes.get(markup)
        if shape is None:
            return None
        for place, text in shape.fixed:
            if texts[place] != text:
                return None
        self._shapes.move_to_end(markup)
        request = shape.make(texts)
        if request is None:
            return None
        outside = Envelope(b"%b%b%b" % (shape.before, message_id, shape.after), shape.end, shape.default)
        return outside, shape.operation, request

    def learn(self, parts: Split, rpc: etree._Element, outside: Envelope, operation: str, request: Request) -> None:
        """Remember what the long way has made of a message.

        Args:
            parts: of the message that `rpc` was parsed from.
        """
        if type(request) not in _MAKERS or self._shapes.get(parts.markup) is not None:
            return
        seen = parts.markup in self._shapes
        self._shapes[parts.markup] = _shape(self._schema, parts, rpc, outside, operation, request) if seen else None
        if len(self._shapes) > MAX_SHAPES:
            self._shapes.popitem(last=False)


def _shape(
    schema: Schema, parts: Split, rpc: etree._Element, outside: Envelope, operation: str, request: Request
) -> _Shape | None:
    """The shape of a message; None where a text or message-id may not be what it seems."""
    markup = b"".join(parts.markup)
    if markup.count(b"message-id") > 1 or _UNUSUAL.search(_DECLARATION.sub(b"", markup)):
        return None
    leafs = [element for element in rpc.iter() if not len(element) and _is_text(element.text)]
    if [leaf.text for leaf in leafs] != parts.texts:
        return None
    make, parameters = _MAKERS[type(request)](schema, request, rpc[0], {leaf: i for i, leaf in enumerate(leafs)})
    fixed = [(place, text) for place, text in enumerate(parts.texts) if leafs[place] not in parameters]
    begin = outside.start.index(_MESSAGE_ID) + len(_MESSAGE_ID)
    before, after = outside.start[:begin], outside.start[begin + len(parts.message_id) :]
    return _Shape(before, after, outside.end, outside.default, operation, make, fixed)


def _is_text(text: str | None) -> bool:
    return text is not None and _TEXT.fullmatch(f">{text}</".encode()) is not None


def _inside(element: etree._Element, places: _Places) -> _Places:
    return {below: places[below] for below in element.iterdescendants() if below in places}


def _read(schema: Schema, request: Get, operation: etree._Element, places: _Places) -> tuple[_Make, _Places]:
    datastore, wanted = request.datastore, request.filter
    rest: tuple[Any, ...] = request[2:]  # not the request itself, which would keep its message
    if not isinstance(wanted, SubtreeFilter):
        return lambda texts: request, {}
    parameters = _inside(wanted.element, places)
    compiled = subtree.compile(schema.root, wanted.element, request.depth, parameters)
    return lambda texts: Get(datastore, compiled.filled(texts), *rest), parameters


def _edit(schema: Schema, request: EditConfig, operation: etree._Element, places: _Places) -> tuple[_Make, _Places]:
    """The message itself is kept, and gets the new texts: what they say is decoded as it always is."""
    (element,) = (child for child in operation if etree.QName(child).localname == "config")
    default = (operation.findtext("{*}default-operation") or "merge").strip()
    edits = xml_edit.repeatable(schema, element, cast(Op, default))
    parameters = _inside(element, places)
    bare = request._replace(edits=())

    def make(texts: Sequence[str]) -> Request | None:
        for leaf, place in parameters.items():
            leaf.text = texts[place]
        try:
            return bare._replace(edits=edits())
        except RpcError:
            return None

    return make, parameters


def _same(schema: Schema, request: Request, operation: etree._Element, places: _Places) -> tuple[_Make, _Places]:
    return lambda texts: request, {}


#: How the requests of a shape are made, and the texts that go into them, by the type of the request.
_MAKERS: Final[Mapping[type, Callable[..., tuple[_Make, _Places]]]] = {
    Get: _read,
    EditConfig: _edit,
    Commit: _same,
    DiscardChanges: _same,
}
