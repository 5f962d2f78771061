"""The walk with its remembered verdicts against the plain reading of the rules, instance by instance."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nms.access.walk import Rule, Walk
from nms.model import tree as trees
from nms.model.path import InstancePath
from nms.model.schema import Node
from nms.model.values import Value
from tests.unit.operations.shop_server import path, plain, schema, tree

PATHS = (
    "/shop:shop",
    "/shop:shop/name",
    "/shop:shop/item",
    "/shop:shop/item[id='a']",
    "/shop:shop/item[id='b']/shelf",
    "/shop:shop/item/shelf/row",
    "/shop:shop/item/price",
    "/shop:shop/queue[who='a']",
    "/shop:shop/hours",
    "/shop:shop/till",
    "/shop:private/note",
)
IDS = st.lists(st.sampled_from("abc"), unique=True, max_size=3)


@st.composite
def roots(draw: st.DrawFn) -> Value:
    items: list[dict[str, Any]] = [{"id": key} for key in draw(IDS)]
    for item in items:
        item |= draw(st.sampled_from([{}, {"price": 1}, {"price": 1, "shelf": {"row": 1}}, {"shelf": {"row": 2}}]))
    shop = {"item": items, "queue": [{"who": key, "note": "n"} for key in draw(IDS)]}
    shop |= draw(
        st.sampled_from([{}, {"name": "x"}, {"name": "x", "till": "y", "hours": {"from": "8"}}, {"hours": {}}])
    )
    return tree({"shop:shop": shop} | draw(st.sampled_from([{}, {"shop:private": {"note": "n"}}])))


RULES = st.lists(
    st.builds(
        lambda text, module, permit: Rule(
            "data" if text else "any", module, "", path(text) if text else (), None, permit
        ),
        st.sampled_from(["", *PATHS]),
        st.sampled_from(["*", "shop", "other"]),
        st.booleans(),
    ),
    max_size=4,
)


class Plain:
    """Every decision made anew from the whole path."""

    def __init__(self, rules: list[Rule], default: bool) -> None:
        self.rules, self.default = rules, default

    def decides(self, where: InstancePath) -> bool:
        for rule in self.rules:
            if len(rule.path) <= len(where) and _meet(rule, where) and rule.module in ("*", where[-1][0].module):
                return rule.permit
        return self.default and not any(node.default_deny == "all" for node in where[-1][0].ancestors())

    def leads(self, where: InstancePath, beyond: bool) -> bool:
        return any(
            rule.permit and rule.path and _meet(rule, where) and (not beyond or len(rule.path) > len(where))
            for rule in self.rules
        )

    def prune(self, node: Node, value: Value, where: InstancePath = (), passing: bool = False) -> Value:
        kept: Value = tuple(
            held if child in node.keys else None for child, held in zip(node.children, value, strict=True)
        )
        for child in node.children:
            held = value[child.index]
            if held is None or child in node.keys:
                continue
            for step, inner in trees.members(child, held) if child.kind == "list" else [((child, None), held)]:
                here = (*where, step)
                if passing and not self.leads(here, beyond=False):
                    continue
                permitted = self.decides(here)
                if child.kind in ("container", "list") and (permitted or self.leads(here, beyond=True)):
                    result = self.prune(child, inner, here, not permitted)
                    shown = any(
                        v is not None for c, v in zip(child.children, result, strict=True) if c not in child.keys
                    )
                    if shown or (permitted and (child.kind == "list" or child.presence)):
                        kept = trees.put(node, kept, (step,), result) or node.blank
                elif permitted:
                    kept = trees.put(node, kept, (step,), inner) or node.blank
        return kept


def _meet(rule: Rule, where: InstancePath) -> bool:
    pairs = zip(rule.path, where, strict=False)
    return all(wanted is node and key in (None, own) for (wanted, key), (node, own) in pairs)


@settings(max_examples=400, deadline=None)
@given(roots(), RULES, st.booleans())
def test_reading(root: Value, rules: list[Rule], default: bool) -> None:
    walk = Walk(rules, default, ("all",))
    expected = plain(Plain(rules, default).prune(schema().root, root))
    for _ in range(2):  # decided anew, then remembered
        assert plain(walk.prune(schema().root, root)) == expected


@settings(max_examples=200, deadline=None)
@given(roots(), RULES, st.booleans())
def test_writing_a_whole_subtree(root: Value, rules: list[Rule], default: bool) -> None:
    walk, oracle = Walk(rules, default, ("all",)), Plain(rules, default)

    def every(node: Node, value: Value, where: InstancePath) -> list[InstancePath]:
        found = [where]
        if node.kind in ("container", "list"):
            for child in node.children:
                held = value[child.index]
                if held is not None and child not in node.keys:
                    members = trees.members(child, held) if child.kind == "list" else [((child, None), held)]
                    for step, inner in members:
                        found += every(child, inner, (*where, step))
        return found

    for top in schema().root.children:
        if (held := root[top.index]) is not None:
            where = ((top, None),)
            denied = walk.first_denied(where, held, subtree=True)
            forbidden = [one for one in every(top, held, where) if not oracle.decides(one)]
            assert (denied is None) == (not forbidden)
            assert denied is None or denied in forbidden
