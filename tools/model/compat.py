"""Whom a new revision of a module breaks (RFC 7950 section 11): each difference breaking, compatible or editorial.

The compiled schemas are compared node by node, so that what comes from a typedef, a grouping or an augment of another
module counts where it takes effect; pyang's update check adds what concerns statements only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

import pyang.error
from pyang.plugins import check_update

from nms.model.schema import Node
from nms.model.types import Type, text_of
from tools.model.change import CLASSES, Change
from tools.model.edition import Edition
from tools.model.facets import compare as compare_types
from tools.model.facets import facets
from tools.model.parsed import Statement, walk


def compare(old: Edition, new: Edition) -> list[Change]:
    """All differences between two editions, breaking ones first."""
    changes = {*_modules(old, new), *_nodes(old, new), *_definitions(old, new)}
    known = {(change.file, change.line) for change in changes}
    changes |= {change for change in _pyang(old, new) if (change.file, change.line) not in known}
    changes |= set(_texts(old, new, {change.module for change in changes}))
    return sorted(_merged(changes), key=lambda change: (CLASSES.index(change.kind), change))


def _merged(changes: Iterable[Change]) -> Iterator[Change]:
    """One change for all places to which a grouping or typedef brings it."""
    same: dict[tuple[str, int, str, str], list[Change]] = {}
    for change in sorted(changes):
        where = change.path if change.line == 0 else ""
        same.setdefault((change.file or where, change.line, change.code, change.message), []).append(change)
    for first, *others in same.values():
        yield replace(first, times=1 + len(others))


def version_of(edition: Edition) -> dict[str, str]:
    """Module -> the semantic version that its newest revision is labelled with, where it is."""
    found = {}
    for name, module in edition.modules.items():
        for statement in walk(revision) if (revision := module.search_one("revision")) is not None else ():
            label = isinstance(statement.keyword, tuple) and statement.keyword[1] in ("version", "revision-label")
            if label and re.fullmatch(r"\d+\.\d+\.\d+", str(statement.arg)):
                found[name] = str(statement.arg)
    return found


def _modules(old: Edition, new: Edition) -> Iterator[Change]:
    for name in old.modules.keys() - new.modules.keys():
        yield Change(name, "", 0, name, "module-removed", f"module {name} is gone")
    for name in new.modules.keys() - old.modules.keys():
        yield Change(name, *new.place(new.modules[name]), name, "module-added", f"module {name} is new")


def _nodes(old: Edition, new: Edition) -> Iterator[Change]:
    both = old.modules.keys() & new.modules.keys()
    gone, come = old.nodes.keys() - new.nodes.keys(), new.nodes.keys() - old.nodes.keys()
    for path in gone:
        node = old.nodes[path]
        if node.module in both and _parent(node) not in gone:
            place = new.place(new.statements.get(_parent(node)) or new.modules[node.module])
            yield Change(node.module, *place, path, "node-removed", f"{node.kind} {node.name} is gone")
    for path, node in new.nodes.items():
        place = new.place(new.statements.get(path))
        if node.module not in both or _parent(node) in come:
            continue
        if path in come:
            code = "mandatory-added" if _demands(node) else "node-added"
            yield Change(node.module, *place, path, code, f"{node.kind} {node.name} is new")
        else:
            for code, message in _differences(old, new, old.nodes[path], node):
                yield Change(node.module, *place, path, code, message)


def _parent(node: Node) -> str:
    return node.parent.path if node.parent is not None else ""


def _demands(node: Node) -> bool:
    """Whether data that lacks a new node is no longer valid."""
    if node.whens or not (node.config or any(n.kind == "input" for n in node.ancestors())):
        return False
    if node.kind == "container" and not node.presence:
        return any(_demands(child) for child in node.children) or any(choice.mandatory for choice in node.choices)
    return (node.mandatory and node not in _keys(node)) or node.min_elements > 0


def _keys(node: Node) -> tuple[Node, ...]:
    return node.parent.keys if node.parent is not None else ()


def _differences(old: Edition, new: Edition, before: Node, after: Node) -> Iterator[tuple[str, str]]:
    if before.kind != after.kind:
        yield "kind-changed", f"{before.kind} {after.name} is a {after.kind} now"
        return
    for aspect in _ASPECTS:
        yield from aspect(before, after)
    types = [
        edition.statements[after.path].search_one("type") for edition in (old, new) if after.path in edition.statements
    ]
    if len(types) == 2 and all(type_ is not None for type_ in types):
        yield from compare_types(facets(types[0]), facets(types[1]))


Aspect = Callable[[Node, Node], Iterator[tuple[str, str]]]


def _config(before: Node, after: Node) -> Iterator[tuple[str, str]]:
    if before.config and not after.config:
        yield "config-to-state", f"{after.name} is state now"
    elif after.config and not before.config:
        yield ("mandatory-added" if _demands(after) else "state-to-config"), f"{after.name} is configuration now"


def _mandatory(before: Node, after: Node) -> Iterator[tuple[str, str]]:
    if before.mandatory != after.mandatory and after not in _keys(after):
        code = "mandatory-added" if after.mandatory else "mandatory-removed"
        yield code, f"{after.name} is {'' if after.mandatory else 'no longer '}mandatory"
    known = {choice.name: choice for choice in before.choices}
    for choice in after.choices:
        was = known.get(choice.name)
        if was is not None and was.mandatory != choice.mandatory:
            code = "mandatory-added" if choice.mandatory else "mandatory-removed"
            yield code, f"choice {choice.name} is {'' if choice.mandatory else 'no longer '}mandatory"
        elif was is None and choice.mandatory:
            yield "mandatory-added", f"choice {choice.name} is new and mandatory"
        if was is not None and was.default_case != choice.default_case:
            code = "default-changed" if was.default_case else "default-added"
            yield code, f"the default case of {choice.name} is {choice.default_case} in place of {was.default_case}"


def _cases(before: Node, after: Node) -> Iterator[tuple[str, str]]:
    old, new = ([(choice.name, case) for choice, case in node.cases] for node in (before, after))
    if old != new:
        yield "choice-changed", f"{after.name} was in {_case(old)} and is in {_case(new)}"


def _case(cases: list[tuple[str, str]]) -> str:
    return " of ".join(f"case {case} of choice {choice}" for choice, case in reversed(cases)) or "no case"


def _default(before: Node, after: Node) -> Iterator[tuple[str, str]]:
    if before.default != after.default:
        code = "default-added" if before.default is None else "default-changed"
        yield code, f"the default of {after.name} is {_value(after)} in place of {_value(before)}"


def _value(node: Node) -> str:
    value = node.default
    if value is None:
        return "nothing"
    return " ".join(f"{text_of(one)!r}" for one in (value if isinstance(value, tuple) else (value,)))


def _elements(before: Node, after: Node) -> Iterator[tuple[str, str]]:
    for word, was, now, tighter in (
        ("min-elements", before.min_elements, after.min_elements, after.min_elements > before.min_elements),
        ("max-elements", before.max_elements, after.max_elements, _shrinks(before.max_elements, after.max_elements)),
    ):
        if was != now:
            code = "elements-narrowed" if tighter else "elements-expanded"
            shown = ["unbounded" if number is None else number for number in (was, now)]
            yield code, f"{word} of {after.name} changed from {shown[0]} to {shown[1]}"


def _shrinks(before: int | None, after: int | None) -> bool:
    return after is not None and (before is None or after < before)


def _conditions(before: Node, after: Node) -> Iterator[tuple[str, str]]:
    pairs: tuple[tuple[str, Iterable[Any], Iterable[Any]], ...] = (
        ("must", before.musts, after.musts),
        ("when", before.whens, after.whens),
    )
    for word, was, now in pairs:
        old, new = ([str(condition.expression) for condition in conditions] for conditions in (was, now))
        gone, come = [text for text in old if text not in new], [text for text in new if text not in old]
        for left, right in zip(gone, come, strict=False):
            yield f"{word}-changed", f"{word} {left} of {after.name} is {right} now"
        for text in gone[len(come) :]:
            yield f"{word}-removed", f"{word} {text} of {after.name} is gone"
        for text in come[len(gone) :]:
            yield f"{word}-added", f"{word} {text} of {after.name} is new"


def _reference(before: Node, after: Node) -> Iterator[tuple[str, str]]:
    old, new = (_paths(node.type) for node in (before, after))
    if old != new:
        yield "type-changed", f"the leafref path of {after.name} is {' or '.join(new) or 'gone'}"


def _paths(type_: Type | None) -> list[str]:
    if type_ is None:
        return []
    own = [str(type_.leafref)] if type_.leafref is not None else []
    return own + [path for member in type_.members for path in _paths(member)]


def _list(before: Node, after: Node) -> Iterator[tuple[str, str]]:
    old, new = ([key.name for key in node.keys] for node in (before, after))
    if old != new:
        yield (
            "key-changed",
            f"the key of {after.name} changed from {' '.join(old) or 'none'} to {' '.join(new) or 'none'}",
        )
    was, now = (
        {" ".join("/".join(n.name for n in route) for route in u) for u in node.unique} for node in (before, after)
    )
    for text in sorted(now - was):
        yield "unique-added", f"unique {text} of {after.name} is new"
    for text in sorted(was - now):
        yield "unique-removed", f"unique {text} of {after.name} is gone"
    if before.user_ordered != after.user_ordered:
        yield "order-changed", f"{after.name} is ordered by {'user' if after.user_ordered else 'system'} now"


def _meaning(before: Node, after: Node) -> Iterator[tuple[str, str]]:
    if before.presence != after.presence:
        yield "presence-changed", f"{after.name} {'has a' if after.presence else 'lost its'} presence meaning"
    if before.units != after.units:
        code = "units-changed" if before.units else "units-added"
        yield code, f"the units of {after.name} are {after.units or 'none'} in place of {before.units or 'none'}"
    if before.status != after.status:
        order = ("current", "deprecated", "obsolete")
        code = "status-advanced" if order.index(after.status) > order.index(before.status) else "status-reverted"
        yield code, f"{after.name} is {after.status}, was {before.status}"


_ASPECTS: Final[tuple[Aspect, ...]] = (
    _config, _mandatory, _cases, _default, _elements, _conditions, _reference, _list, _meaning,
)  # fmt: skip


def _definitions(old: Edition, new: Edition) -> Iterator[Change]:
    """Identities, features and typedefs: importers use them, whether or not a node here does."""
    for name in old.modules.keys() & new.modules.keys():
        before, after = old.modules[name], new.modules[name]
        own = [identity for identity in old.schema.identity_bases if identity.startswith(f"{name}:")]
        for identity in own:
            bases = new.schema.identity_bases.get(identity)
            place = new.place(_identity(after, identity))
            if bases is None:
                yield Change(name, *new.place(after), identity, "identity-removed", f"identity {identity} is gone")
                continue
            for base in sorted(old.schema.identity_bases[identity] - bases):
                yield Change(name, *place, identity, "base-removed", f"{identity} is no longer derived from {base}")
            for base in sorted(bases - old.schema.identity_bases[identity]):
                yield Change(name, *place, identity, "base-added", f"{identity} is derived from {base} now")
        for identity in new.schema.identity_bases:
            if identity.startswith(f"{name}:") and identity not in old.schema.identity_bases:
                place = new.place(_identity(after, identity))
                yield Change(name, *place, identity, "identity-added", f"identity {identity} is new")
        for feature in after.i_features.keys() - before.i_features.keys():
            yield Change(
                name, *new.place(after.i_features[feature]), feature, "feature-added", f"feature {feature} is new"
            )
        for typedef in before.search("typedef"):
            now = after.i_typedefs.get(typedef.arg)
            if now is not None:
                both = (facets(statement.search_one("type")) for statement in (typedef, now))
                for code, message in compare_types(*both):
                    yield Change(name, *new.place(now), f"typedef {typedef.arg}", code, message)


def _identity(module: Statement, name: str) -> Statement | None:
    return module.i_identities.get(name.rpartition(":")[2])


def _statements(edition: Edition) -> Iterator[Statement]:
    for module in edition.parsed.context.modules.values():
        yield from walk(module) if module is not None else ()


class _At:
    """A place without a statement."""

    def __init__(self, position: Any) -> None:
        self.pos = position


class _Collector:
    """What pyang's checks write their errors to."""

    def __init__(self) -> None:
        self.errors: list[Any] = []


def _pyang(old: Edition, new: Edition) -> Iterator[Change]:
    """pyang's update check on module heads, features, extensions, groupings and if-feature."""
    used = {id(s.i_grouping) for s in _statements(old) if getattr(s, "i_grouping", None) is not None}
    for name in old.modules.keys() & new.modules.keys():
        before, after = old.modules[name], new.modules[name]
        into = _Collector()
        check_update.chk_namespace(before, after, into)
        for keyword, check in (
            ("feature", check_update.chk_feature),
            ("extension", check_update.chk_extension),
            ("grouping", check_update.chk_grouping),
        ):
            for statement in before.search(keyword):
                if id(statement) not in used or statement.arg not in after.i_groupings:  # else the nodes have shown it
                    check(statement, after, into)
        for typedef in before.search("typedef"):
            if typedef.arg not in after.i_typedefs:
                check_update.err_def_removed(typedef, after, into)
        for path, node in old.statements.items():
            if node.i_module.i_modulename == name and path in new.statements and path in new.nodes:
                check_update.chk_if_feature(node, new.statements[path], into)
        for position, tag, arguments in into.errors:
            if pyang.error.err_level(tag) <= 3:
                text = re.sub(r", defined at \S+|\(at \S+\)", "", pyang.error.err_to_str(tag, arguments)).strip()
                yield Change(name, *new.place(_At(position)), name, "statement", text)


def _texts(old: Edition, new: Edition, changed: set[str]) -> Iterator[Change]:
    for name in old.modules.keys() & new.modules.keys():
        before, after = (edition.parsed.modules[name] for edition in (old, new))
        same = _printed(before) == _printed(after)
        if same:
            continue
        if name not in changed:
            yield Change(name, *new.place(after), name, "text", "only texts changed")
        dates = [max((r.arg for r in module.search("revision")), default="") for module in (before, after)]
        if dates[0] >= dates[1]:
            place = new.place(after.search_one("revision") or after)
            message = f"the newest revision is {dates[1] or 'none'}, was {dates[0] or 'none'}"
            yield Change(name, *place, name, "revision", message)


def _printed(statement: Statement) -> str:
    return "\n".join(f"{s.keyword} {s.arg}" for s in walk(statement))
