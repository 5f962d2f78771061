"""The entries of one list: a persistent B+tree from key to entry, beside it the order where the user gives it.

Entries are kept sorted by key in leafs of at most 64, so that one edit copies one leaf and its few ancestors, a
difference skips what is shared, and the encodings can be remembered per leaf (`Leaf.xml`, `Leaf.json`).  A list that
is `ordered-by user` (RFC 7950 section 7.7.7) wraps the tree in `Ordered`.  A keyless list uses positions as keys.
Keys of one list are mutually comparable by construction (`nms.model.schema.Node.key_of`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import compress, count
from operator import eq, is_, is_not
from typing import Any, Final, TypeAlias

from nms.model.values import Key, Value, alike

FANOUT: Final = 64
_FEW: Final = 8  # changes that are quicker made one by one
_FILL: Final = 48  # entries a leaf gets from a bulk build: room for a third more before it splits


class Leaf:
    """Up to `FANOUT` entries; `xml` and `json` memoise their encodings."""

    __slots__ = ("json", "keys", "values", "xml")

    def __init__(self, keys: tuple[Key, ...], values: tuple[Value, ...]) -> None:
        self.keys = keys
        self.values = values
        self.xml: bytes | None = None
        self.json: bytes | None = None


class Inner:
    """Up to `FANOUT` subtrees; `separators[i]` is the smallest key of `children[i + 1]`."""

    __slots__ = ("children", "separators", "size")

    def __init__(self, separators: tuple[Key, ...], children: tuple[Tree, ...], size: int) -> None:
        self.separators = separators
        self.children = children
        self.size = size


Tree: TypeAlias = Leaf | Inner


class Ordered:
    """A user-ordered list: the entries by key, and the keys in the user's order."""

    __slots__ = ("order", "tree")

    def __init__(self, tree: Tree, order: tuple[Key, ...]) -> None:
        self.tree = tree
        self.order = order


Entries: TypeAlias = Leaf | Inner | Ordered

NONE: Final = Leaf((), ())
NONE_ORDERED: Final = Ordered(NONE, ())


def size(entries: Entries) -> int:
    """Number of entries."""
    if isinstance(entries, Ordered):
        return len(entries.order)
    return len(entries.keys) if isinstance(entries, Leaf) else entries.size


def get(entries: Entries, key: Key) -> Value | None:
    """The entry with `key`, or None.  O(log n)."""
    node = entries.tree if isinstance(entries, Ordered) else entries
    while isinstance(node, Inner):
        node = node.children[bisect_right(node.separators, key)]
    i = bisect_left(node.keys, key)
    return node.values[i] if i < len(node.keys) and node.keys[i] == key else None


def put(entries: Entries, key: Key, value: Value) -> Entries:
    """A copy in which `key` has `value`; a new key of a user-ordered list goes last."""
    if isinstance(entries, Ordered):
        known = get(entries.tree, key) is not None
        return Ordered(_put_root(entries.tree, key, value), entries.order if known else (*entries.order, key))
    return _put_root(entries, key, value)


def remove(entries: Entries, key: Key) -> Entries:
    """A copy without `key`, which must be there.

    Raises:
        KeyError: no such entry.
    """
    if isinstance(entries, Ordered):
        return Ordered(_remove_root(entries.tree, key), without(entries.order, key))
    return _remove_root(entries, key)


def move(entries: Ordered, key: Key, where: str, anchor: Key | None = None) -> Ordered:
    """The same entries with `key` moved "first", "last", "before" or "after" `anchor` (RFC 7950 section 7.8.6).

    Raises:
        KeyError: `anchor` is not in the list.
    """
    return Ordered(entries.tree, placed(entries.order, key, where, anchor))


def placed(order: tuple[Any, ...], one: Any, where: str, anchor: Any = None) -> tuple[Any, ...]:
    """`order` with `one`, which may be in it, moved "first", "last", "before" or "after" `anchor`.

    Raises:
        KeyError: `anchor` is not in it.
    """
    found = list(order)
    if found and found[-1] == one:  # it has just been added
        found.pop()
    elif one in found:
        found.remove(one)
    if where in ("before", "after"):
        try:
            at = found.index(anchor) + (where == "after")
        except ValueError:
            raise KeyError(anchor) from None
    else:
        at = 0 if where == "first" else len(found)
    found.insert(at, one)
    return tuple(found)


def without(order: tuple[Any, ...], one: Any) -> tuple[Any, ...]:
    """`order` without `one`, which is in it."""
    found = list(order)
    found.remove(one)
    return tuple(found)


#: What becomes of an entry that has another value already: (present, given) -> the value it gets.
Combine: TypeAlias = Callable[[Value, Value], Value]


def update(entries: Entries, changes: Mapping[Key, Value | None], combine: Combine | None = None) -> Entries:
    """A copy with many changes: a value puts, None removes (absent keys are passed over).

    Subtrees without a change are shared, and with them the encodings that they remember.

    Args:
        combine: for keys that are there, makes the new value; None: the given one replaces it.
    """
    if isinstance(entries, Ordered):
        tree = update(entries.tree, changes, combine)
        if tree is entries.tree:
            return entries
        assert not isinstance(tree, Ordered)
        gone = {k for k, v in changes.items() if v is None}
        kept = tuple(k for k in entries.order if k not in gone) if gone else entries.order
        known = set(kept)
        return Ordered(tree, kept + tuple(k for k, v in changes.items() if v is not None and k not in known))
    if len(changes) < _FEW:
        return _update_singly(entries, changes, combine)
    keys = sorted(changes)
    level = _update(None, entries, keys, [changes[key] for key in keys], combine)
    while len(level) > 1:
        level = _grouped(level)
    return _without_only_children(level[0][1]) if level else NONE


def _update_singly(tree: Tree, changes: Mapping[Key, Value | None], combine: Combine | None) -> Tree:
    for key, value in changes.items():
        held = get(tree, key)
        if value is None:
            tree = tree if held is None else _remove_root(tree, key)
            continue
        value = value if combine is None or held is None else combine(held, value)
        tree = tree if value is held else _put_root(tree, key, value)
    return tree


def build(keys: list[Key], values: list[Value]) -> Tree:
    """The tree of sorted, distinct `keys` and their `values`."""
    if not keys:
        return NONE
    level = _packed(keys, values)
    while len(level) > 1:
        level = _grouped(level)
    return level[0][1]


def from_values(pairs: Iterable[tuple[Key, Value]], *, ordered: bool) -> Entries:
    """Entries of distinct (key, entry) pairs in any order; `ordered` keeps theirs."""
    return from_mapping(dict(pairs), ordered=ordered)


def from_mapping(mapping: Mapping[Key, Value], *, ordered: bool) -> Entries:
    """Entries by their keys, in any order; `ordered` keeps theirs."""
    keys = sorted(mapping)
    tree = build(keys, [mapping[k] for k in keys])
    return Ordered(tree, tuple(mapping)) if ordered else tree


def single(key: Key, value: Value, *, ordered: bool) -> Entries:
    """One entry."""
    tree = Leaf((key,), (value,))
    return Ordered(tree, (key,)) if ordered else tree


def leaves(tree: Tree) -> Iterator[Leaf]:
    """The leafs in key order."""
    if isinstance(tree, Leaf):
        yield tree
        return
    for child in tree.children:
        yield from leaves(child)


def items(entries: Entries) -> Iterator[tuple[Key, Value]]:
    """(key, entry) pairs: by key, or in the user's order."""
    if isinstance(entries, Ordered):
        for key in entries.order:
            yield key, get(entries.tree, key)
    else:
        for leaf in leaves(entries):
            yield from zip(leaf.keys, leaf.values, strict=True)


def values(entries: Entries) -> Iterator[Value]:
    """Entries: by key, or in the user's order."""
    if isinstance(entries, Ordered):
        for key in entries.order:
            yield get(entries.tree, key)
    else:
        for leaf in leaves(entries):
            yield from leaf.values


def differences(old: Entries, new: Entries) -> tuple[dict[Key, Value], dict[Key, Value]]:
    """Entries that differ, as (those of `old`, those of `new`); shared subtrees are not entered."""
    one, two = _where_they_part(
        old.tree if isinstance(old, Ordered) else old, new.tree if isinstance(new, Ordered) else new
    )
    if isinstance(one, Leaf) and isinstance(two, Leaf) and one.keys is two.keys:
        keys, was, now = one.keys, one.values, two.values
        changed = [i for i in _parted(was, now) if not alike(was[i], now[i])]
        return {keys[i]: was[i] for i in changed}, {keys[i]: now[i] for i in changed}
    left: list[Tree] = [one]
    right: list[Tree] = [two]
    while True:
        in_left = {id(tree) for tree in left}
        in_right = {id(tree) for tree in right}
        left = [tree for tree in left if id(tree) not in in_right]
        right = [tree for tree in right if id(tree) not in in_left]
        left_depth, right_depth = _depth(left), _depth(right)
        if not left_depth and not right_depth:
            break
        if left_depth >= right_depth:
            left = _children(left)
        if right_depth >= left_depth:
            right = _children(right)
    gone: dict[Key, Value] = {}
    come: dict[Key, Value] = {}
    for tree in left:
        assert isinstance(tree, Leaf)
        gone.update(zip(tree.keys, tree.values, strict=True))
    for tree in right:
        assert isinstance(tree, Leaf)
        come.update(zip(tree.keys, tree.values, strict=True))
    for key in [k for k, v in come.items() if k in gone and alike(gone[k], v)]:
        del gone[key], come[key]
    return gone, come


def _where_they_part(one: Tree, two: Tree) -> tuple[Tree, Tree]:
    """The subtrees that hold all differences, as far down as it is one pair: an edit of one entry leads to its leaf."""
    while isinstance(one, Inner) and isinstance(two, Inner) and one.separators is two.separators:
        parted = list(_parted(one.children, two.children))
        if len(parted) != 1:
            break
        one, two = one.children[parted[0]], two.children[parted[0]]
    return one, two


def _parted(one: Sequence[object], two: Sequence[object]) -> Iterator[int]:
    """Where two rows of equal length do not hold the same objects."""
    return compress(count(), map(is_not, one, two))


def _children(level: list[Tree]) -> list[Tree]:
    return [child for tree in level for child in (tree.children if isinstance(tree, Inner) else (tree,))]


def _depth(level: list[Tree]) -> int:
    """Height of the trees of one level: all have the same, as leafs split and never sink."""
    depth = 0
    tree: Tree | None = next((t for t in level if isinstance(t, Inner)), None)
    while isinstance(tree, Inner):
        tree = tree.children[0]
        depth += 1
    return depth


def _inner(separators: tuple[Key, ...], children: tuple[Tree, ...]) -> Inner:
    return Inner(separators, children, sum(map(size, children)))


def _put_root(tree: Tree, key: Key, value: Value) -> Tree:
    left, separator, right = _put(tree, key, value)
    return left if right is None else _inner((separator,), (left, right))


def _put(tree: Tree, key: Key, value: Value) -> tuple[Tree, Key, Tree | None]:
    if isinstance(tree, Leaf):
        keys, vals = tree.keys, tree.values
        i = bisect_left(keys, key)
        if i < len(keys) and keys[i] == key:
            return Leaf(keys, (*vals[:i], value, *vals[i + 1 :])), None, None
        keys, vals = (*keys[:i], key, *keys[i:]), (*vals[:i], value, *vals[i:])
        if len(keys) <= FANOUT:
            return Leaf(keys, vals), None, None
        # Keys that come in order would leave half-empty leafs behind: split at the end then.
        half = len(keys) - 1 if i == len(keys) - 1 else len(keys) // 2
        return Leaf(keys[:half], vals[:half]), keys[half], Leaf(keys[half:], vals[half:])
    i = bisect_right(tree.separators, key)
    left, separator, right = _put(tree.children[i], key, value)
    if right is None:
        children = (*tree.children[:i], left, *tree.children[i + 1 :])
        return Inner(tree.separators, children, tree.size - size(tree.children[i]) + size(left)), None, None
    separators = (*tree.separators[:i], separator, *tree.separators[i:])
    children = (*tree.children[:i], left, right, *tree.children[i + 1 :])
    if len(children) <= FANOUT:
        return _inner(separators, children), None, None
    half = len(children) // 2
    return (
        _inner(separators[: half - 1], children[:half]),
        separators[half - 1],
        _inner(separators[half:], children[half:]),
    )


#: Trees of one height side by side, each with a key that is above its left neighbour's and not above its own first.
_Level: TypeAlias = list[tuple[Key, Tree]]


def _packed(keys: Sequence[Key], values: Sequence[Value]) -> _Level:
    """Leafs of sorted `keys`."""
    cuts = range(0, len(keys), _FILL)
    return [(keys[i], Leaf(tuple(keys[i : i + _FILL]), tuple(values[i : i + _FILL]))) for i in cuts]


def _grouped(level: _Level) -> _Level:
    """The level above."""
    groups = (level[i : i + _FILL] for i in range(0, len(level), _FILL))
    return [(group[0][0], _above(group)) for group in groups]


def _above(group: _Level) -> Inner:
    return _inner(tuple(first for first, _ in group[1:]), tuple(tree for _, tree in group))


def _update(
    first: Key, tree: Tree, keys: Sequence[Key], values: Sequence[Value | None], combine: Combine | None
) -> _Level:
    """What becomes of `tree`, in trees of its height, when sorted `keys` get `values` or, for None, go."""
    if isinstance(tree, Leaf):
        return _update_leaf(first, tree, keys, values, combine)
    old = tuple(zip((first, *tree.separators), tree.children, strict=True))
    level: _Level = []
    passed = begin = 0
    while begin < len(keys):
        i = bisect_right(tree.separators, keys[begin])
        end = bisect_left(keys, tree.separators[i], begin) if i < len(tree.separators) else len(keys)
        level += old[passed:i]
        level += _update(*old[i], keys[begin:end], values[begin:end], combine)
        passed, begin = i + 1, end
    level += old[passed:]
    if len(level) > FANOUT:
        return _grouped(level)
    if not level:
        return []
    inner = _above(level)
    if inner.separators == tree.separators:
        if all(map(is_, inner.children, tree.children)):
            return [(first, tree)]
        inner.separators = tree.separators  # the very object: `differences` sees by it that both fall in the same parts
    return [(level[0][0], inner)]


def _update_leaf(
    first: Key, leaf: Leaf, keys: Sequence[Key], values: Sequence[Value | None], combine: Combine | None
) -> _Level:
    merged = dict(zip(leaf.keys, leaf.values, strict=True))
    if combine is not None:
        pairs = zip(keys, values, strict=True)
        values = [combine(merged[key], value) if key in merged else value for key, value in pairs]
    merged.update(zip(keys, values, strict=True))
    kept: Sequence[Key] = sorted(key for key, value in merged.items() if value is not None)
    held = [merged[key] for key in kept]
    if len(kept) == len(leaf.keys) and all(map(eq, kept, leaf.keys)):
        if all(map(is_, held, leaf.values)):
            return [(first, leaf)]
        kept = leaf.keys  # the very object, for `differences`
    if len(kept) > FANOUT:
        level = _packed(kept, held)
        return [(first, level[0][1]), *level[1:]]
    return [(first, Leaf(tuple(kept), tuple(held)))] if kept else []


def _remove_root(tree: Tree, key: Key) -> Tree:
    return _without_only_children(_remove(tree, key))


def _without_only_children(tree: Tree) -> Tree:
    while isinstance(tree, Inner) and len(tree.children) == 1:
        tree = tree.children[0]
    return tree


def _remove(tree: Tree, key: Key) -> Tree:
    if isinstance(tree, Leaf):
        i = bisect_left(tree.keys, key)
        if i >= len(tree.keys) or tree.keys[i] != key:
            raise KeyError(key)
        return Leaf(tree.keys[:i] + tree.keys[i + 1 :], tree.values[:i] + tree.values[i + 1 :])
    i = bisect_right(tree.separators, key)
    child = _remove(tree.children[i], key)
    if size(child):
        return Inner(tree.separators, (*tree.children[:i], child, *tree.children[i + 1 :]), tree.size - 1)
    children = tree.children[:i] + tree.children[i + 1 :]
    if not children:
        return NONE
    cut = max(i - 1, 0)
    return Inner(tree.separators[:cut] + tree.separators[cut + 1 :], children, tree.size - 1)
