"""A sample instance of a module: every node once, with values as they look in practice, valid by the engine.

Values are proposed by a table (what the name or type suggests) and tried on the type.  Then the engine judges the whole
tree; what it refuses is left out, from the outside in, until the rest is valid.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple, cast

from nms.errors import ConfigError, RpcError
from nms.model import entries, tree
from nms.model.constraints import validate
from nms.model.path import InstancePath, parse_path
from nms.model.schema import Node, Schema
from nms.model.types import InvalidValue, Type, module_resolver
from nms.model.values import EMPTY, Scalar, Value
from nms.model.xpath import expressions

#: Pattern of a node's or type's name -> what its values look like; the first that the type takes counts.
_BY_NAME: Final = (
    (r"date-and-time|timestamp|-time$|-start$|-end$|^from$|^until$", "2026-01-15T09:30:00Z"),
    (r"ipv6|ip6", "2001:db8::10"), (r"ipv4|^ip|address", "192.0.2.10"), (r"prefix|subnet|network", "192.0.2.0/24"),
    (r"port$|port-number", "8443"), (r"mac", "02:00:5e:10:00:01"), (r"uri|url|endpoint|href", "https://edge.example.com/"),
    (r"host|domain|fqdn", "edge.example.com"), (r"mail|contact", "operations@example.com"),
    (r"version", "1.0.0"), (r"currency", "EUR"), (r"country", "DE"), (r"descr|comment|reason|message", "An example."),
    (r"uuid", "6f1c2a34-5b6d-4e7f-8a90-1b2c3d4e5f60"), (r"digest|checksum|hash", "9f86d081884c7d65"),
    (r"mtu", "1500"), (r"percent|share|ratio|utili", "50"), (r"latency|delay", "10"),
    (r"timeout|interval|period", "60"),
    (r"name|^id$|-id$|user|customer|owner", "edge-1"),
)  # fmt: skip
_ANY: Final = (
    "example", "1", "0", "10", "100", "1.0", "0.5", "a", "A", "true", "2026-01-15", "2026-01-15T09:30:00Z",
    "192.0.2.10", "192.0.2.0/24", "2001:db8::10", "2001:db8::/32", "02:00:5e:10:00:01",
    "edge.example.com", "EUR", "DE", "1.0.0",
    "6f1c2a34-5b6d-4e7f-8a90-1b2c3d4e5f60", "0" * 32, "a" * 40, "0" * 64, "00:00", "01:02:03:04", "1.3.6.1", "65000:1",
    "sha-256:" + "0" * 64, "$5$salt$" + "a" * 43, "2048", "1280", "+1", "/", "MQ==", "",
)  # fmt: skip


def sample(schema: Schema, module: str) -> Value:
    """A valid value of the schema's root with the nodes of `module`, those it augments others with included.

    Raises:
        ConfigError: the module defines no data, or nothing that can be found is valid.
    """
    wanted = {node for top in schema.root.children for node in top.walk() if node.module == module}
    if not wanted:
        raise ConfigError(f"module {module} defines no data nodes: there is nothing to show")
    above = {ancestor for node in wanted for ancestor in node.ancestors()}
    needed = wanted | above
    for _ in range(4):  # a leafref may need nodes of other modules, and those others
        more = {target for node in needed for target in _targets(schema, node)} - needed
        if not more:
            break
        needed |= {ancestor for node in more for ancestor in node.ancestors()}
    scope = _Scope(schema, frozenset(needed))
    value = _children(scope, schema.root)
    for _ in range(2000):
        errors = validate(schema, value, config=False)
        if not errors and value != schema.root.blank:
            return value
        if not errors:
            break
        value = _without(schema, value, errors)
    raise ConfigError(f"no valid sample of {module} was found: it may need a module with identities, --module NAME")


class _Scope(NamedTuple):
    schema: Schema
    needed: frozenset[Node]


def _targets(schema: Schema, node: Node) -> Iterator[Node]:
    if node.type is not None and node.type.leafref is not None:
        yield from expressions(schema).leafref(node).nodes


def _without(schema: Schema, value: Value, errors: list[RpcError]) -> Value:
    """The tree without the first refused node that can be left out; of a mandatory one the node around it goes."""
    for error in errors:
        path = parse_path(schema, error.path)
        while path:
            if not _must_stay(path) and tree.get(value, path) is not None:
                left = tree.remove(schema.root, value, path)
                return left if left is not None else schema.root.blank
            path = path[:-1]
    raise ConfigError(f"no valid sample was found: {errors[0].message} at {errors[0].path}")


def _must_stay(path: InstancePath) -> bool:
    node = path[-1][0]
    keys = node.parent.keys if node.parent is not None else ()
    return node.mandatory or node in keys


def _children(scope: _Scope, node: Node) -> Value:
    """One instance of each child, of one case of each choice."""
    values: list[Value | None] = []
    chosen: dict[str, str] = {}
    for child in node.children:
        ours = child in scope.needed and child.status != "obsolete"
        if ours and all(chosen.setdefault(choice.name, case) == case for choice, case in child.cases):
            values.append(_instance(scope, child))
        else:
            values.append(None)
    return tuple(values)


def _instance(scope: _Scope, node: Node) -> Value | None:
    if node.kind == "container":
        inner = _children(scope, node)
        return inner if node.presence or inner != node.blank else None
    if node.kind == "list":
        entry = _children(scope, node)
        if any(entry[key.index] is None for key in node.keys):
            return None
        key = node.key_of(entry) if node.keys else 0
        return entries.from_values([(key, entry)], ordered=node.user_ordered)
    if node.kind not in ("leaf", "leaf-list"):
        return None  # anydata: the model does not say what is in it
    value = _value(scope, node)
    return None if value is None else (value,) if node.kind == "leaf-list" else value


def _value(scope: _Scope, node: Node) -> Scalar | None:
    """A leaf's default, or what is likely of the leaf that a chain of leafrefs ends at."""
    assert node.type is not None
    held = node.default or () if isinstance(node.default, tuple) else (node.default,)
    for default in held:
        if default is not None:
            return cast(Scalar, default)
    leaf, seen = node, {node}
    while (ahead := next(_targets(scope.schema, leaf), None)) is not None and ahead not in seen:
        leaf = ahead
        seen.add(leaf)
    return next(_proposals(leaf, node.type), None)


def _proposals(node: Node, type_: Type) -> Iterator[Scalar]:
    """Values that the type takes, the likeliest first."""
    if type_.base == "empty":
        yield EMPTY
    resolve = module_resolver(node.module)
    hints = (node.name, node.type.name if node.type is not None else "")
    texts = [text for pattern, text in _BY_NAME for hint in hints if re.search(pattern, hint)]
    texts += [*type_.enums, *list(type_.bits)[:1], *sorted(type_.identities), *_ANY]
    if type_.base == "boolean":
        texts.insert(0, "true")
    for text in texts:
        try:
            yield type_.parse(text, resolve)
        except InvalidValue:
            continue
