"""Data node rules of RFC 8341 (sections 3.4.5, 3.5.2) met while walking down a tree, for one access operation.  Pure.

Interpretations: a node is hidden with all below it unless a permit rule's path leads on through it, then it shows the
way (list keys only); keys are shown with their entry; the `default-deny` extensions hold for descendants too; to delete
an instance, delete access to all that is in it is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from nms.model import entries, tree
from nms.model.path import InstancePath
from nms.model.schema import Node
from nms.model.values import Key, Value


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule (section 3.5.2): `name` of an rpc or notification, or `path` of a data node, as `kind` says."""

    kind: Literal["any", "rpc", "notification", "data"]
    module: str
    name: str
    path: InstancePath
    operations: frozenset[str] | None
    permit: bool


#: Per rule, how many steps of its path are matched: all of them = it applies here and below, -1 = never again.
_State: TypeAlias = tuple[int, ...]


class Walk:
    """Data node decisions for one access operation (section 3.4.5), made while walking down a tree."""

    def __init__(self, rules: Sequence[Rule], default: bool, denied: tuple[str, ...]) -> None:
        self.rules = rules
        self.default = default
        self.denied = denied
        self.start: _State = (0,) * len(rules)
        self._verdicts: dict[tuple[Node, _State], str] = {}

    def _step(self, state: _State, node: Node, key: Key | None) -> _State:
        """The state one step down; `key` None stands for an entry that no rule names."""
        if not state:
            return state
        moved: list[int] = []
        for rule, position in zip(self.rules, state, strict=True):
            if 0 <= position < len(rule.path):
                wanted, wanted_key = rule.path[position]
                matched = wanted is node and (wanted_key is None or wanted_key == key)
                position = position + 1 if matched else -1
            moved.append(position)
        return tuple(moved)

    def _decide(self, node: Node, state: _State) -> bool:
        for rule, position in zip(self.rules, state, strict=True):
            if position == len(rule.path) and rule.module in ("*", node.module):
                return rule.permit
        return self.default and not any(n.default_deny in self.denied for n in node.ancestors())

    def _leads_on(self, state: _State, *, through: bool) -> bool:
        """Does a permit rule's path lead to somewhere below (`through`), or here or below?"""
        return any(
            rule.permit and rule.path and 0 <= position <= len(rule.path) - through
            for rule, position in zip(self.rules, state, strict=True)
        )

    def _named(self, state: _State, node: Node) -> set[Key]:
        """Keys of entries of `node` that rules name at this place."""
        return {
            rule.path[position][1]
            for rule, position in zip(self.rules, state, strict=True)
            if 0 <= position < len(rule.path) and rule.path[position][0] is node and rule.path[position][1] is not None
        }

    def _verdict(self, node: Node, state: _State) -> str:
        """For every instance of `node` in `state`: "all" of it is permitted, "none", or it is "mixed"."""
        known = self._verdicts.get((node, state))
        if known is None:
            known = self._verdicts[node, state] = self._judge(node, state)
        return known

    def _judge(self, node: Node, state: _State) -> str:
        if node.kind != "root" and not self._decide(node, state):
            return "mixed" if self._leads_on(state, through=True) else "none"
        for child in node.children:
            if child in node.keys:
                continue
            if self._named(state, child) or self._verdict(child, self._step(state, child, None)) != "all":
                return "mixed"
        return "all"

    # ------------------------------------------------------------ reading

    def permits_all(self, root_node: Node) -> bool:
        """Is every instance permitted?"""
        return self._verdict(root_node, self.start) == "all"

    def prune(self, root_node: Node, root: Value) -> Value:
        """`root` without what is denied."""
        return root if self.permits_all(root_node) else self._inside(root_node, root, self.start, False)

    def _inside(self, node: Node, value: Value, state: _State, passing: bool) -> Value:
        """The permitted children of an instance; `passing`: only those that a permit rule's path leads to."""
        slots: list[Value | None] = list(value)
        for child in node.children:
            held = value[child.index]
            if held is None or child in node.keys:
                continue
            if child.kind == "list":
                slots[child.index] = self._list(child, held, state, passing)
            elif child.kind == "leaf-list" and self._named(state, child):
                judged = ((v, self._instance(child, v, self._step(state, child, v), passing)) for v in held)
                slots[child.index] = tuple(v for v, shown in judged if shown is not None) or None
            else:
                slots[child.index] = self._instance(child, held, self._step(state, child, None), passing)
        return value if all(a is b for a, b in zip(slots, value, strict=True)) else tuple(slots)

    def _instance(self, node: Node, value: Value, state: _State, passing: bool) -> Value | None:
        """What is permitted of one container, leaf or list entry."""
        if passing and not self._leads_on(state, through=False):
            return None
        verdict = self._verdict(node, state)
        if verdict == "all":
            return value
        if verdict == "none" or node.kind not in ("container", "list"):
            return None
        decided = self._decide(node, state)
        inner = self._inside(node, value, state, not decided)
        if decided:
            return tree.close(node, inner)
        shown = [held for child, held in zip(node.children, inner, strict=True) if child not in node.keys]
        return inner if any(held is not None for held in shown) else None

    def _list(self, node: Node, held: entries.Entries, state: _State, passing: bool) -> Value | None:
        named = self._named(state, node)
        others = self._step(state, node, None)
        verdict = self._verdict(node, others)
        if passing and not self._leads_on(others, through=False):
            verdict = "none"
        if verdict == "all" and not named:
            return held
        if verdict == "none":
            if not named:
                return None
            found = {key: entries.get(held, key) for key in named}
            candidates: Iterable[tuple[Key, Value]] = [(k, v) for k, v in found.items() if v is not None]
            if node.user_ordered:
                candidates = [(k, v) for k, v in entries.items(held) if k in found]
            kept = ((k, self._instance(node, v, self._step(state, node, k), passing)) for k, v in candidates)
            pairs = [(k, v) for k, v in kept if v is not None]
            return entries.from_values(pairs, ordered=node.user_ordered) if pairs else None
        if verdict == "all":
            candidates = [(key, entry) for key in named if (entry := entries.get(held, key)) is not None]
        else:
            candidates = entries.items(held)
        changes: dict[Key, Value | None] = {}
        for key, entry in candidates:
            pruned = self._instance(node, entry, self._step(state, node, key), passing)
            if pruned is not entry:
                changes[key] = pruned
        result = entries.update(held, changes) if changes else held
        return result if entries.size(result) else None

    # ------------------------------------------------------------ one instance

    def _state_at(self, path: InstancePath) -> _State:
        state = self.start
        for node, key in path:
            state = self._step(state, node, key)
        return state

    def permits(self, path: InstancePath, below: Node | None = None) -> bool:
        """Is the instance at `path`, or the action or notification `below` it, permitted?"""
        state = self._state_at(path)
        if below is not None:
            return self._decide(below, self._step(state, below, None))
        return self._decide(path[-1][0], state)

    def reaches(self, path: InstancePath) -> bool:
        """Is the instance at `path` permitted, and each above it permitted or on the way of a permit rule?"""
        state = self.start
        for node, key in path[:-1]:
            state = self._step(state, node, key)
            if not (self._decide(node, state) or self._leads_on(state, through=True)):
                return False
        return self.permits(path)

    def first_denied(self, path: InstancePath, value: Value, *, subtree: bool) -> InstancePath | None:
        """The first instance at (and, for a `subtree`, below) `path` that is not permitted."""
        state = self._state_at(path)
        node = path[-1][0]
        if not subtree:
            return None if self._decide(node, state) else path
        return self._search(node, value, state, path)

    def _search(self, node: Node, value: Value, state: _State, path: InstancePath) -> InstancePath | None:
        if self._verdict(node, state) == "all":
            return None
        if not self._decide(node, state):
            return path
        if node.kind not in ("container", "list"):
            return None
        for child in node.children:
            held = value[child.index]
            if held is None or child in node.keys:
                continue
            several = child.kind in ("list", "leaf-list")
            for step, inner in tree.members(child, held) if several else [((child, None), held)]:
                denied = self._search(child, inner, self._step(state, *step), (*path, step))
                if denied is not None:
                    return denied
        return None
