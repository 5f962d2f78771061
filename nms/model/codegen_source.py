"""What generated codecs (`nms.model.codegen`) are written with, and what they call when they run."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from nms.model import entries
from nms.model.schema import Node
from nms.model.values import Key, Value

#: Texts remembered per leaf, and how long one may be.
_REMEMBERED: Final = 4096
_LONGEST: Final = 64


class Unexpected(Exception):
    """Data is not what a generated decoder knows; no verdict, the interpreting decoder gives that."""


class Codec(Protocol):
    """The functions generated for one node; see `nms.model.codegen.Codec`."""

    @property
    def decode_xml(self) -> Callable[[Any], Value]:
        """Element -> instance."""

    @property
    def write_xml(self) -> Callable[[Value, Callable[[str], None]], None]:
        """(instance, write) -> None."""

    @property
    def decode_json(self) -> Callable[[Any], Value]:
        """Object -> instance."""

    @property
    def encode_json(self) -> Callable[[Value], dict[str, Any]]:
        """Instance -> object."""


class Known(dict[Any, Value]):
    """Values by their encoded form, parsed when they are first met.

    Values repeat in configurations: a look-up is quicker than parsing, and equal values share one object.
    """

    __slots__ = ("_parse",)

    def __init__(self, parse: Callable[[Any], Value]) -> None:
        super().__init__()
        self._parse = parse

    def __missing__(self, raw: Any) -> Value:
        value = self._parse(raw)
        if len(self) < _REMEMBERED and (type(raw) is not str or len(raw) <= _LONGEST):
            self[raw] = value
        return value


class Source:
    """The text of one function under construction, and the objects that names in it stand for."""

    def __init__(self, head: str, about: str) -> None:
        self.name = head[4 : head.index("(")]
        self.about = about
        self.lines = [head, f'    """{about}"""']
        self.scope: dict[str, Any] = {"Unexpected": Unexpected}

    def add(self, *lines: str, depth: int = 1) -> None:
        """Add lines at a depth of indentation."""
        self.lines += ["    " * depth + line for line in lines]

    def bind(self, name: str, thing: object) -> str:
        """Let `name` stand for `thing`."""
        self.scope[name] = thing
        return name

    @property
    def text(self) -> str:
        """The source as it stands."""
        return "\n".join(self.lines) + "\n"

    def function(self) -> Callable[..., Any]:
        """Compile it."""
        # Names from the schema come in as variables of letters and digits or as literals made by repr().
        exec(compile(self.text, f"<{self.name} {self.about}>", "exec"), self.scope)  # noqa: S102
        found: Callable[..., Any] = self.scope[self.name]
        return found


def variable(node: Node) -> str:
    """The variable that holds a child's value: its name, told from its siblings' by its place."""
    # The last underscore keeps a leaf called `known` or `list` apart from what is bound for it.
    return f"{re.sub('[^A-Za-z0-9_]', '_', node.name)}_{node.index}_"


def is_sole_key(node: Node) -> bool:
    """Is every value of this leaf met once in its list, so that none is worth remembering?"""
    return node.parent is not None and node.parent.keys == (node,)


def parsed(source: Source, node: Node, parse: Callable[[Any], Value], name: str) -> str:
    """The expression of a leaf's value, whose encoded form the expression `name` gives; values that recur are kept."""
    if is_sole_key(node):
        return f"{source.bind(f'parse_{node.index}', parse)}({name})"
    return f"{source.bind(f'known_{node.index}', Known(parse))}[{name}]"


def without_blank(source: Source, node: Node) -> list[str]:
    """Lines that leave nothing of a container without presence that holds nothing."""
    if node.presence:
        return []
    blank = source.bind(f"blank_{node.index}", node.blank)
    return [f"if {variable(node)} == {blank}:", f"    {variable(node)} = None"]


def unpack(node: Node) -> str:
    """All children's variables as a tuple, to take an instance apart or to make one."""
    names = ", ".join(map(variable, node.children))
    return f"({names},)" if len(node.children) == 1 else f"({names})"


def collect(node: Node, found: Sequence[Value]) -> entries.Entries | None:
    """The entries of list `node` from its instances.

    Raises:
        Unexpected: two have the same key.
    """
    if not found:
        return None
    keys: Sequence[Key] = list(map(node.key_of, found)) if node.keys else range(len(found))
    held = entries.from_values(zip(keys, found, strict=True), ordered=node.user_ordered)
    if entries.size(held) != len(found):
        raise Unexpected
    return held
