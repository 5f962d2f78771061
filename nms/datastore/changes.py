"""Changes as JSON, for a journal: every path and value comes back as it was, independent of text forms of paths.

A change is ``[steps, value]``: steps are ``[name, key]`` with the key leafs' RFC 7951 values (null where there is no
key), value is `stored`, absent for a deletion; ``{"order": [keys]}`` is the order of a user-ordered list.  Entries of
one list that come or go together are one item: their list's steps and ``{"gone": [keys], "come": [values]}``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache, partial
from itertools import groupby
from typing import Any, Final

import orjson

from nms.model import entries, json, tree
from nms.model.diff import Change, runs
from nms.model.path import InstancePath, Step
from nms.model.schema import Node
from nms.model.types import module_resolver
from nms.model.values import AnyData, Key, Value

#: Entries that are turned into objects at a time.
_SLICE: Final = 512


def apply(root_node: Node, root: Value, changes: Iterable[Change]) -> Value:
    """`root` after `changes`, which need not start from it."""
    for run in runs(changes):
        path, value = run[0].path, run[0].new
        node, key = path[-1]
        if len(run) > 1:
            path = (*path[:-1], (node, None))
            value = _update(node, tree.get(root, path), run)
        elif node.kind == "list" and key is None and node.keys:
            value = _reorder(tree.get(root, path), value)
        root = tree.put(root_node, root, path, value) or root_node.blank
    return root


def _update(node: Node, held: Value | None, run: Sequence[Change]) -> Value | None:
    new = {change.path[-1][1]: change.new for change in run}
    found = entries.update(held if held is not None else tree.no_entries(node), new)
    return found if entries.size(found) else None


def _reorder(held: Value | None, wanted: Value) -> Value | None:
    if held is None:
        return None
    assert isinstance(held, entries.Ordered)
    order = tuple(key for key in wanted.order if entries.get(held, key) is not None)
    return entries.Ordered(held.tree, order)


def to_json(changes: Iterable[Change]) -> list[Any]:
    """`changes` ready for `orjson.dumps`."""
    items: list[Any] = []
    for above, some in groupby(runs(changes), lambda run: run[0].path[:-1]):
        steps = list(map(_step_to_json, above))
        items += [_change(steps, run[0]) if len(run) == 1 else _run(steps, run) for run in some]
    return items


def _run(above: Sequence[Any], run: Sequence[Change]) -> list[Any]:
    node = run[0].node
    gone = [_key(node, change.path[-1][1]) for change in run if change.new is None]
    come = [change.new for change in run if change.new is not None]
    return [[*above, _step_to_json((node, None))], {"gone": gone, "come": _stored_entries(node, come)}]


def _stored_entries(node: Node, held: Sequence[Value]) -> Any:
    """Entries of list `node`; many of them in slices of text, so that objects for all never exist at once."""
    encode = partial(stored, node) if _holds_any(node) else json.entry_encoder(node)
    if len(held) <= _SLICE:
        return list(map(encode, held))
    slices = (held[i : i + _SLICE] for i in range(0, len(held), _SLICE))
    return {"slices": [orjson.dumps(list(map(encode, part))).decode() for part in slices]}


def _raw_entries(content: Any) -> Iterator[Any]:
    """The entries in what `_stored_entries` gave, still as JSON."""
    if isinstance(content, dict):
        for part in content["slices"]:
            yield from orjson.loads(part)
    else:
        yield from content


def _step_to_json(step: Step) -> list[Any]:
    node, key = step
    return [f"{node.module}:{node.name}", _key(node, key)]


def _change(above: Sequence[Any], change: Change) -> list[Any]:
    node, key = change.path[-1]
    steps = [*above, _step_to_json((node, key))]
    if change.new is None:
        return [steps]
    if node.kind == "list" and key is None and not node.keys:
        return [steps, {"all": _stored_entries(node, list(entries.values(change.new)))}]
    if node.kind == "list" and key is None:
        return [steps, {"order": [_key(node, k) for k in change.new.order]}]
    return [steps, stored(node, change.new)]


def _leafs(node: Node) -> Sequence[Node]:
    return (node,) if node.kind == "leaf-list" else node.keys


def _key(node: Node, key: Key | None) -> Any:
    if key is None:
        return None
    if node.kind == "list" and not node.keys:
        return key
    values = (key,) if node.kind == "leaf-list" else node.key_values(key)
    return [_scalar(leaf, value) for leaf, value in zip(_leafs(node), values, strict=True)]


def _scalar(leaf: Node, value: Any) -> Any:
    assert leaf.type is not None
    # A union's key is its canonical text already (`Node.make_key`).
    return value if leaf.type.base == "union" and leaf.kind == "leaf" else leaf.type.to_json(value)


def from_json(root_node: Node, items: Any) -> list[Change]:
    """Reverse of `to_json`, `old` unknown (None).

    Raises:
        RpcError, KeyError, ValueError, TypeError: this is not what the schema knows.
    """
    return [change for item in items for change in _read(root_node, item)]


def _read(root_node: Node, item: Any) -> list[Change]:
    path: InstancePath = ()
    node = root_node
    for name, raw in item[0]:
        module, _, local = name.partition(":")
        child = node.child(local, module)
        if child is None:
            raise KeyError(name)
        node = child
        path = (*path, _step(node, raw))
    if len(item) == 1:
        return [Change(path, None, None)]
    raw = item[1]
    if node.kind == "list" and path[-1][1] is None:
        return _read_list(node, path, raw)
    return [Change(path, None, restored(node, raw))]


def _read_list(node: Node, path: InstancePath, raw: Any) -> list[Change]:
    if "all" in raw:
        return [Change(path, None, _restored_list(node, raw["all"]))]
    if "order" in raw:
        order = tuple(_step(node, key)[1] for key in raw["order"])
        return [Change(path, None, entries.Ordered(entries.NONE, order))]
    above = path[:-1]
    changes = [Change((*above, _step(node, key)), None, None) for key in raw["gone"]]
    for content in _raw_entries(raw["come"]):
        entry = restored(node, content)
        changes.append(Change((*above, (node, node.key_of(entry))), None, entry))
    return changes


def _step(node: Node, raw: Any) -> Step:
    if raw is None or (node.kind == "list" and not node.keys):
        return node, raw
    values = []
    for leaf, value in zip(_leafs(node), raw, strict=True):
        assert leaf.type is not None
        keep = leaf.type.base == "union" and leaf.kind == "leaf"
        values.append(value if keep else leaf.type.from_json(value, module_resolver(leaf.module)))
    return node, values[0] if len(values) == 1 else tuple(values)


@cache
def _holds_any(node: Node) -> bool:
    return any(below.kind in ("anydata", "anyxml") for below in node.walk())


def stored(node: Node, value: Value) -> Any:
    """One instance (of a list one entry) as JSON: RFC 7951, but anydata as it came in, ``[xml, json]``.

    Encodings that readers would remember are not: what is stored is seldom read that way.
    """
    if node.kind in ("anydata", "anyxml"):
        return [value.xml, value.json]
    if node.kind == "list" and not _holds_any(node):
        return json.encode_entry(node, value)
    if node.kind in ("leaf", "leaf-list"):
        return json.encode_value(node, value)
    members: dict[str, Any] = {}
    for child, held in zip(node.children, value, strict=True):
        if held is not None:
            is_list = child.kind == "list"
            content = _stored_entries(child, list(entries.values(held))) if is_list else stored(child, held)
            members[f"{child.module}:{child.name}"] = content
    return members


def restored(node: Node, raw: Any) -> Value:
    """Reverse of `stored`.

    Raises:
        RpcError, KeyError, ValueError, TypeError: this is not what the schema knows.
    """
    if node.kind in ("anydata", "anyxml"):
        return AnyData(*raw)
    if node.kind in ("leaf", "leaf-list"):
        assert node.parent is not None
        return json.decode_member(node.parent, f"{node.module}:{node.name}", raw)[1]
    if node.kind == "list" and not _holds_any(node):
        return json.decode(node, raw)
    slots: list[Value | None] = list(node.blank)
    for name, content in raw.items():
        module, _, local = name.rpartition(":")
        child = node.child(local, module or node.module)
        if child is None:
            raise KeyError(name)
        slots[child.index] = _restored_list(child, content) if child.kind == "list" else restored(child, content)
    return tuple(slots)


def _restored_list(node: Node, content: Any) -> entries.Entries:
    held = [restored(node, raw) for raw in _raw_entries(content)]
    keys = [node.key_of(entry) for entry in held] if node.keys else range(len(held))
    return entries.from_values(zip(keys, held, strict=True), ordered=node.user_ordered)
