"""Large messages are long lists: entries that stand one after the other are read from the text, the rest is parsed.

An XML tree of a message takes ten times its size, and most of the time that reading it takes.  So the runs of entries
of the one list that fills a message are cut out of its text and decoded piece by piece (`nms.model.codegen_text`); an
empty element stands for each run in what is left, which is parsed and decoded as ever.  This is a short cut and no
judge: where anything is not as expected the owner reads the whole message the long way, which gives the verdict.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from lxml import etree

from nms.model.codegen_source import Unexpected
from nms.model.codegen_text import Reader, is_readable, reader
from nms.model.schema import Node, Schema
from nms.model.types import InvalidValue
from nms.model.values import Value

#: Bytes that are looked at for the list that fills the message, in its middle.
_SAMPLE: Final = 64 * 1024
#: Bytes that become text at a time, and the longest run: other threads get their turn in between.
_PIECE: Final = 64 * 1024
#: Tags, of those that are met most often there, whose lists are tried.
_CANDIDATES: Final = 3
#: Places without an entry that are passed over at most, and one more for this many entries: else it is no short cut.
_PATIENCE: Final = 100
_ODD: Final = 8
_START_TAG: Final = re.compile(r"<([\w.-]+:)?([\w.-]+)>")


class Placed:
    """Runs of entries of list `node` by the elements that stand for them."""

    def __init__(self, node: Node | None, runs: dict[etree._Element, list[Value]]) -> None:
        self._node = node
        self._runs = runs

    def take(self, node: Node, element: etree._Element) -> list[Value] | None:
        """The run of entries of `node` that `element` stands for, each once; None: it stands for itself."""
        return self._runs.pop(element, None) if node is self._node else None

    @property
    def used(self) -> bool:
        """Have all been taken?"""
        return not self._runs


#: Every element stands for itself.
NOTHING_PLACED: Final = Placed(None, {})


@dataclass(frozen=True, slots=True)
class Cut:
    """A message without the runs of entries of list `node`.

    Attributes:
        rest: the message with an empty element for each run.
        runs: the entries of each, in order.
    """

    node: Node
    rest: bytes
    runs: Sequence[list[Value]]

    def placed(self, root: etree._Element) -> Placed | None:
        """The runs by their elements in `root`, which is what was parsed from `rest`; None: they are not to be told."""
        found = [element for element in root.iter(self.node.tag) if _stands_for_run(element)]
        return Placed(self.node, dict(zip(found, self.runs, strict=True))) if len(found) == len(self.runs) else None


def _stands_for_run(element: etree._Element) -> bool:
    return not len(element) and not element.text and not element.attrib


def cut(schema: Schema, message: bytes) -> Cut | None:
    """Cut the runs out of `message`; None where there is nothing to gain, or something that only a parser can read."""
    chosen = _chosen(schema, message)
    if chosen is None:
        return None
    node, prefix = chosen
    try:
        return _cut(node, prefix, message)
    except (Unexpected, InvalidValue, UnicodeDecodeError):
        return None


def _chosen(schema: Schema, message: bytes) -> tuple[Node, str] | None:
    """The list whose entries the middle of the message consists of, and the prefix of their tags."""
    middle = len(message) // 2
    sample = message[max(0, middle - _SAMPLE // 2) : middle + _SAMPLE // 2].decode(errors="ignore")
    known = _readable_lists(schema)
    tags = Counter((prefix, name) for prefix, name in _START_TAG.findall(sample) if name in known)
    often = [tag for tag, _ in tags.most_common(_CANDIDATES)]
    lists = [(len(list(node.ancestors())), node, prefix) for prefix, name in often for node in known[name]]
    for _, node, prefix in sorted(lists, key=lambda row: row[0]):
        if reader(node, prefix).pattern.search(sample):
            return node, prefix
    return None


@lru_cache(maxsize=16)
def _readable_lists(schema: Schema) -> dict[str, list[Node]]:
    found: dict[str, list[Node]] = {}
    for node in schema.root.walk():
        if node.kind == "list" and node.config and is_readable(node):
            found.setdefault(node.name, []).append(node)
    return found


def _cut(node: Node, prefix: str, message: bytes) -> Cut:
    how = reader(node, prefix)
    start, mark = f"<{prefix}{node.name}>", f"<{prefix}{node.name}/>"
    rest: list[str] = []
    runs: list[list[Value]] = []
    patience: float = _PATIENCE
    for text in _pieces(message, f"</{prefix}{node.name}>".encode()):
        _check_markup(text, first=not rest)
        at = 0
        while at < len(text):
            found, behind = _run(how, text, at)
            if found:
                rest.append(mark)
                runs.append(found)
                patience += len(found) / _ODD
            else:  # no entry, or one that only the parser can read: on to the next
                patience -= 1
                if patience < 0:
                    raise Unexpected
                behind = text.find(start, at + 1)
                behind = behind if behind >= 0 else len(text)
                rest.append(text[at:behind])
            at = behind
    return Cut(node, "".join(rest).encode(), runs)


def _check_markup(text: str, *, first: bool) -> None:
    """See that what looks like an entry is one, not a part of a comment, CDATA section or processing instruction.

    Raises:
        Unexpected: there is such a thing; only an XML declaration at the beginning (of the `first` piece) is not.
    """
    # The rare characters first: to look for "<" is to stop at every tag.
    if ("!" in text and "<!" in text) or ("?" in text and text.find("<?", first) >= 0):
        raise Unexpected


def _run(how: Reader, text: str, at: int) -> tuple[list[Value], int]:
    """The entries that stand one after the other from `at` on, and where they end."""
    found: list[Value] = []
    match, read = how.pattern.match, how.read
    while entry := match(text, at):
        found.append(read(entry.groups()))
        at = entry.end()
    return found, at


def _pieces(message: bytes, end_tag: bytes) -> Iterator[str]:
    """The message as text, each piece but the last ending behind an `end_tag`."""
    at = 0
    while at < len(message):
        end = message.rfind(end_tag, at, at + _PIECE)
        if end < 0:
            end = message.find(end_tag, at)
        end = end + len(end_tag) if end >= 0 else len(message)
        yield message[at:end].decode()
        at = end
