"""The compiled schema: our own nodes, built once from yangson's by `nms.model.load`, read by everything else.

Data nodes are flattened: choices and cases are no nodes of the data tree, they stand as `Choice` beside their parent's
children (RFC 7950 section 7.9).  XPath expressions are kept as yangson's syntax trees until `nms.model.constraints`
compiles them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

from nms.model.types import Type, text_of
from nms.model.values import Key, Scalar, Value

Kind = Literal[
    "root",
    "container",
    "list",
    "leaf",
    "leaf-list",
    "anydata",
    "anyxml",
    "rpc",
    "action",
    "input",
    "output",
    "notification",
]


@dataclass(slots=True, eq=False)
class Names:
    """Module names and namespace URIs of a schema, shared by its nodes."""

    namespaces: dict[str, str]
    modules: dict[str, str]


@dataclass(slots=True, eq=False)
class Must:
    """A `must` (RFC 7950 section 7.5.3): yangson's syntax tree and the model's own words for its failure."""

    expression: Any
    message: str
    app_tag: str


@dataclass(slots=True, eq=False)
class When:
    """A `when` (section 7.21.5); `on_parent`: one of augment, uses, choice or case, whose context is the parent."""

    expression: Any
    on_parent: bool


@dataclass(slots=True, eq=False)
class Choice:
    """A choice: its cases by name, each the data nodes it holds (nested choices included)."""

    name: str
    module: str
    mandatory: bool
    default_case: str | None
    whens: tuple[When, ...]
    outer: tuple[tuple[Choice, str], ...]
    cases: dict[str, list[Node]] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Node:
    """A schema node; see docs/architecture.md for the value that an instance of each kind has."""

    kind: Kind
    name: str
    module: str
    namespace: str
    parent: Node | None
    names: Names
    config: bool = True
    index: int = 0
    children: tuple[Node, ...] = ()
    keys: tuple[Node, ...] = ()
    choices: tuple[Choice, ...] = ()
    cases: tuple[tuple[Choice, str], ...] = ()
    type: Type | None = None
    mandatory: bool = False
    presence: bool = False
    user_ordered: bool = False
    min_elements: int = 0
    max_elements: int | None = None
    unique: tuple[tuple[tuple[Node, ...], ...], ...] = ()
    default: Value | None = None
    units: str = ""
    description: str = ""
    status: str = "current"
    default_deny: Literal["none", "write", "all"] = "none"
    musts: tuple[Must, ...] = ()
    whens: tuple[When, ...] = ()
    actions: tuple[Node, ...] = ()
    notifications: tuple[Node, ...] = ()
    tag: str = ""
    path: str = ""
    by_tag: dict[str, Node] = field(default_factory=dict)
    by_name: dict[str, list[Node]] = field(default_factory=dict)
    key_of: Callable[[Value], Key] = field(default=lambda entry: None)
    blank: tuple[None, ...] = ()
    holds_state: bool = False  # some node below is config false
    holds_defaults: bool = False  # some node below has a default
    codec: Any = None  # what `nms.model.codegen` wrote for it

    def __repr__(self) -> str:
        return f"<{self.kind} {self.path or '/'}>"

    def child(self, name: str, module: str | None = None) -> Node | None:
        """The data child called `name`; without `module` the one of this node's module, else the only one."""
        found = self.by_name.get(name, ())
        wanted = self.module if module is None else module
        for node in found:
            if node.module == wanted:
                return node
        return found[0] if module is None and len(found) == 1 else None

    def key_values(self, key: Key) -> tuple[Scalar, ...]:
        """The key leafs' values of a list's key (or a leaf-list's value), in the order of the key statement."""
        return key if len(self.keys) > 1 else (key,)

    def make_key(self, values: Sequence[Scalar]) -> Key:
        """The key of an entry from its key leafs' values; reverse of `key_values`."""
        found = [comparable(node, value) for node, value in zip(self.keys, values, strict=True)]
        return found[0] if len(found) == 1 else tuple(found)

    def walk(self) -> Iterator[Node]:
        """This node and all data nodes below it."""
        yield self
        for child in self.children:
            yield from child.walk()

    def ancestors(self) -> Iterator[Node]:
        """This node, its parent, and so on up to (not including) the root."""
        node: Node | None = self
        while node is not None and node.kind != "root":
            yield node
            node = node.parent


def comparable(node: Node, value: Scalar) -> Scalar:
    """What tells the values of a leaf apart: of a union the canonical text, as `0` and `false` are equal in Python."""
    assert node.type is not None
    return text_of(value) if node.type.base == "union" else value


def seal(node: Node) -> None:
    """Fill in what follows from the children once they are known: look-up tables, blank value, key function."""
    for index, child in enumerate(node.children):
        child.index = index
        node.by_tag[child.tag] = child
        node.by_name.setdefault(child.name, []).append(child)
    node.blank = (None,) * len(node.children)
    node.holds_state = any(not child.config or child.holds_state for child in node.children)
    node.holds_defaults = any(child.default is not None or child.holds_defaults for child in node.children)
    if node.kind == "list":
        node.key_of = _key_function(node)


def _key_function(node: Node) -> Callable[[Value], Key]:
    keys = node.keys
    plain = all(key.type is not None and key.type.base != "union" for key in keys)
    if keys and plain:
        return itemgetter(*[key.index for key in keys])
    return lambda entry: node.make_key([entry[key.index] for key in keys])


@dataclass(slots=True, eq=False)
class Module:
    """One module of the served set (RFC 8525)."""

    name: str
    revision: str
    namespace: str
    prefix: str
    implemented: bool
    features: tuple[str, ...]
    submodules: tuple[tuple[str, str], ...]
    deviations: tuple[str, ...]
    file: Path


@dataclass(slots=True, eq=False)
class Schema:
    """All that is known about a set of modules.

    Attributes:
        root: the node whose children are the top-level data nodes.
        modules: by name; submodules are in `files`.
        rpcs, notifications: top-level ones by (module, name).
        module_of_namespace: namespace URI -> module name.
        identity_bases: qualified identity -> all identities it is derived from.
        files: (module or submodule name, revision) -> its source file, for get-schema.
        content_id: digest over the set (RFC 8525 content-id).
        parsed_paths: what `nms.model.path.parse_path` has given lately.
    """

    root: Node
    modules: dict[str, Module]
    rpcs: dict[tuple[str, str], Node]
    notifications: dict[tuple[str, str], Node]
    module_of_namespace: dict[str, str]
    identity_bases: Mapping[str, frozenset[str]]
    files: Mapping[tuple[str, str], Path]
    content_id: str
    search_path: tuple[str, ...]
    _state_tags: tuple[str, ...] | None = field(default=None, init=False)
    parsed_paths: dict[str, Any] = field(default_factory=dict, init=False)
    data: Any = None  # yangson's SchemaData: prefixes and identities for the XPath parser

    @property
    def state_tags(self) -> tuple[str, ...]:
        """Tags of the containers of state whose instances mean nothing when they are empty."""
        if self._state_tags is None:
            nodes = self.root.walk()
            self._state_tags = tuple({n.tag for n in nodes if n.kind == "container" and not (n.config or n.presence)})
        return self._state_tags

    def find(self, path: str) -> Node:
        """The data, rpc, action or notification node at a schema path ``/module:a/b/module2:c``.

        Raises:
            KeyError: there is none.
        """
        node = self.root
        module = ""
        for step in path.strip("/").split("/"):
            prefix, _, name = step.rpartition(":")
            module = prefix or module
            found = node.child(name, module)
            if found is None:
                top = (*self.rpcs.values(), *self.notifications.values()) if node is self.root else ()
                pool = (*node.actions, *node.notifications, *top)
                found = next((each for each in pool if (each.name, each.module) == (name, module)), None)
            if found is None:
                raise KeyError(path)
            node = found
        return node
