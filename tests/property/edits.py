"""Random edits of configurations: small ones, mostly on what is there, with values from pools that meet."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from nms.errors import RpcError
from nms.model import entries, tree
from nms.model.path import InstancePath, parse_path
from nms.model.schema import Node, Schema
from nms.model.types import InvalidValue, module_resolver
from nms.model.values import EMPTY, AnyData, InstanceId
from nms.model.xpath import expressions

WORDS = ("a", "a", "a", "b", "b", "b", "c", "yes", "full", "rail", "bad", "gw")
POOLS = {"string": WORDS, "boolean": ("true", "false"), "decimal64": ("1.5", "-1.5", "2.0", "0.25", "3.0")}
WEIGHTS = {"list": 6}
NUMBERS = (0, 1, 1, 1, 2, 2, 3, 4, 5, 13, 40, 60)


class Editor:
    """Edits instances of one schema.

    Args:
        pointers: texts for instance-identifiers.
        rude: share of edits that leave data of two cases of one choice.
    """

    def __init__(self, schema: Schema, random: Random, pointers: tuple[str, ...] = (), rude: float = 0.03) -> None:
        self.schema = schema
        self.random = random
        self.pointers = pointers
        self.rude = rude
        self.root: Any = schema.root.blank

    def change(self, root: Any) -> Any:
        """`root` with up to three edits."""
        for _ in range(self.random.choice((1, 1, 1, 2, 3))):
            self.root = root
            root = self.inner(self.schema.root, root)
        return root

    def change_leafs(self, root: Any) -> Any:
        """`root` with some leafs and leaf-lists of one instance, seldom of two, edited: nothing else comes or goes."""
        places = list(_places(self.schema.root, root, ()))
        for above in self.random.choices(places, k=self.random.choice((1, 1, 1, 2))):
            parent = above[-1][0] if above else self.schema.root
            leafs = [n for n in parent.children if n.kind in ("leaf", "leaf-list") and n not in parent.keys]
            for leaf in self.random.sample(leafs, min(len(leafs), self.random.choice((1, 1, 2, 3)))):
                self.root = root
                path = (*above, (leaf, None))
                root = tree.put(self.schema.root, root, path, self.child(leaf, tree.get(root, path)))
        return root

    def inner(self, node: Node, value: Any) -> Any:
        """An instance with one child edited."""
        slots = list(value)
        choices = [n for n in node.children if n.config and n not in node.keys]
        if not choices:
            return value
        child = self.random.choices(choices, [WEIGHTS.get(n.kind, 1 + len(n.children)) for n in choices])[0]
        slots[child.index] = self.child(child, slots[child.index])
        if slots[child.index] is not None and self.random.random() > self.rude:
            for choice, case in child.cases:
                for name, members in choice.cases.items():
                    for member in members if name != case else ():
                        slots[member.index] = None
        return tuple(slots)

    def child(self, node: Node, held: Any) -> Any:
        """What is set of one schema node, edited."""
        gone = self.random.random() < 0.2
        if node.kind == "leaf":
            return None if gone else self.scalar(node)
        if node.kind == "leaf-list":
            value = self.scalar(node)
            if value is None:
                return held
            kept = tuple(v for v in held or () if v != value)
            return (kept if len(kept) < len(held or ()) and gone else (*kept, value)) or None
        if node.kind == "container":
            if held is not None and self.random.random() < 0.1:
                return None
            value = self.inner(node, held if held is not None else self.fresh(node, node.blank, 0.3))
            return None if value == node.blank and not node.presence else value
        if node.kind == "list":
            return self.entries(node, held, gone)
        return None if gone else AnyData(json="{}")

    def entries(self, node: Node, held: Any, gone: bool) -> Any:
        """The entries of a list with one put, edited, removed or moved."""
        keys = [key for key, _ in entries.items(held)] if held is not None else []
        act = self.random.random()
        if keys and gone:
            return tree.put_entry(node, held, self.random.choice(keys), None)
        if keys and act < 0.6:
            key = self.random.choice(keys)
            if isinstance(held, entries.Ordered) and act < 0.1:
                return entries.move(held, key, self.random.choice(("first", "last")))
            return entries.put(held, key, self.inner(node, entries.get(held, key)))
        key = node.make_key([self.scalar(leaf) for leaf in node.keys])
        return tree.put_entry(node, held, key, self.fresh(node, tree.blank_entry(node, key), 0.4))

    def fresh(self, node: Node, value: Any, share: float) -> Any:
        """A new instance with some of its children."""
        for _ in node.children:
            if self.random.random() < share:
                value = self.inner(node, value)
        return value

    def values(self, node: Node) -> list[Any]:
        """What instances of a leaf or leaf-list hold now."""
        return [value for _, value in tree.instances(self.schema.root, self.root, tree.route(node))]

    def scalar(self, node: Node) -> Any:
        """A value of a leaf or leaf-list; None for a leafref that has nothing to refer to."""
        kind = node.type
        assert kind is not None
        if kind.leafref is not None and self.random.random() < 0.9:
            targets = expressions(self.schema).leafref(node).nodes
            return self.random.choice([value for target in targets for value in self.values(target)] or [None])
        resolve = module_resolver(node.module)
        while True:
            kind_of = self.random.choice(kind.members) if kind.members else kind
            base = kind_of.base
            if base == "empty":
                return EMPTY
            if base == "instance-identifier":
                try:
                    text = self.random.choice(self.pointers)
                    assert parse_path(self.schema, text)
                    return InstanceId(text)
                except RpcError:
                    continue
            pool = kind_of.enums or kind_of.identities or kind_of.bits or POOLS.get(base, NUMBERS)
            try:
                return kind.parse(str(self.random.choice(list(pool))), resolve)
            except InvalidValue:
                continue


def _places(node: Node, value: Any, path: InstancePath) -> Iterator[InstancePath]:
    """The paths of all instances that have leafs, or would have them if these were set, from one at `path` on."""
    yield path
    for child, found in zip(node.children, value, strict=True):
        held = child.blank if found is None and child.kind == "container" and not child.presence else found
        if held is not None and child.kind in ("container", "list"):
            for step, below in tree.members(child, held):
                yield from _places(child, below, (*path, step))
