"""Changes of leafs of one instance: what they make worth checking is the same for every instance, and is found once.

It is a short cut past `nms.model.constraint_marks`, for the change that is made most.  Where the answer could depend on
more than the schema (a constraint of another instance looks at the leaf, a unique, a leafref's target that goes, an
instance that comes or goes) there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

from nms.model import tree
from nms.model.constraint_dependents import Dependents
from nms.model.constraint_marks import Mark
from nms.model.constraint_plan import Plan, UniqueRule
from nms.model.cursor import Cursor
from nms.model.diff import Change
from nms.model.schema import Node
from nms.model.values import Value

#: An instance, the checks of its schema node, and which of them are to be made.
Place: TypeAlias = tuple[Plan, Mark, Cursor]

#: Leafs that changed, and whether each was there before.
_Leafs: TypeAlias = tuple[tuple[Node, bool], ...]


def place(known: Dependents, changes: Sequence[Change], old: Value, new: Value) -> Place | None:
    """Where, and for what, `changes` from the root `old` to `new` have to be checked; None: that is not one place."""
    above = changes[0].path[:-1] if changes else ()
    leafs: list[tuple[Node, bool]] = []
    for path, was, _ in changes:
        node = path[-1][0]
        if node.kind == "list" or path[:-1] != above:
            return None
        leafs.append((node, was is not None))
    parent = above[-1][0] if above else known.schema.root
    found = _marked(known, parent, tuple(leafs))
    if found is None or tree.get(old, above) is None:
        return None
    here = Cursor(known.schema.root, new, None)
    for node, key in above:
        value = tree.get(here.value, ((node, key),))
        if value is None:
            return None
        here = Cursor(node, value, here, key)
    return (*found, here)


@lru_cache(maxsize=1024)
def _marked(known: Dependents, parent: Node, leafs: _Leafs) -> tuple[Plan, Mark] | None:
    """The checks of an instance of `parent` and those of them that a change of `leafs` wants, if that is all."""
    route = tree.route(parent)
    mark = Mark()
    for leaf, was_there in leafs:
        if was_there and known.lost(leaf):
            return None
        mark.slot(leaf).whole = True
        for dependent, depth in known.outward(leaf):
            if depth < len(route) or dependent.target is not parent or isinstance(dependent.rule, UniqueRule):
                return None
            (mark if dependent.slot is None else mark.slot(dependent.slot)).rules.add(dependent.rule)
    plan = known.plans.configuration
    for node in route:
        below = next((child for child in plan.children if child.node is node), None)
        if below is None:  # nothing is ever checked there
            return plan, Mark()
        plan = below
    return plan, mark
