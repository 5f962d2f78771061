"""Where the two verdicts differ for a reason that the RFC's text settles.

A row says what libyang 4.5.5 does and the section that decides; its test looks at both lists of errors.  What libyang
cannot be asked for at all is left out where it would be drawn: see `printing` and `instances.Drawer.for_libyang`.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nms.errors import RpcError
from tests.fuzz.instances import Drawer
from tests.fuzz.model import Node

#: A predicate that compares a name with a path.
_KEY_BY_PATH: Final = re.compile(r"\[[\w:]+ ?= ?(current\(\)|/)|\[(current\(\)|/)[^]]*=[\w:]+\]")

#: The predicates of a path.
_PREDICATES: Final = re.compile(r"\[[^]]*\]")

#: libyang's words for a reference without instance and for a false when.
_UNMET: Final = re.compile(r"Invalid (leafref|instance-identifier .*) value|When condition .* not satisfied")

#: A whole number has another canonical text in this union than in the type after it.
_DECIMAL_FIRST: Final = re.compile(r"type union \{ type decimal64 \{[^}]*\} type u?int")

#: A function that libyang computes by cutting.
_ROUNDS: Final = re.compile(r"\b(floor|ceiling|round)\(")

#: A must that compares with the text of a whole number.
_TEXT_OF_NUMBER: Final = re.compile(r"""condition .*= ['"]-?\d+['"]""")


@dataclass(frozen=True, slots=True)
class Difference:
    """Both verdicts on one instance."""

    ours: Sequence[RpcError]
    theirs: Sequence[str]
    modules: str
    drawer: Drawer
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Known:
    """An explained difference; `section` is of RFC 7950."""

    name: str
    section: str
    reason: str
    explains: Callable[[Difference], bool]


def _when_on_default(name: str, drawer: Drawer) -> bool:
    """Whether a when of a node, or of one that it is in, looks at a default that is itself under a when."""
    node = drawer.by_name.get(name)
    if node is None:
        return False
    seen = {found for n in (node, *node.up()) for found in re.findall(r"\{(n\d+)\}", n.when)}
    return any(n.defaults and n.conditional for n in drawer.nodes if n.name in seen)


def _on_default(d: Difference, path: str) -> bool:
    return _when_on_default(_last(path), d.drawer)


def _false_when(error: RpcError) -> bool:
    return error.message.endswith("its when condition is false")


def _last(path: str) -> str:
    """The name of the node that an instance path leads to."""
    return _PREDICATES.sub("", path).rpartition("/")[2].rpartition(":")[2]


def _default_at_the_top(text: str, drawer: Drawer) -> bool:
    """Whether an error names what exists by default, at or below a node at the top that is under a when."""
    if _UNMET.search(text) is None:
        return False
    for node in (drawer.by_name[name] for name in re.findall(r"\bn\d+\b", text) if name in drawer.by_name):
        top = [n for n in (node, *node.up()) if n.is_data][-1]
        implicit = bool(node.defaults) or (node.keyword == "container" and not node.presence)
        if top.conditional and implicit:
            return True
    return False


def _about_outer_case(d: Difference) -> bool:
    """Whether every error names something that exists by default in a case with a choice of its own."""
    outer = set()
    for node in d.drawer.nodes:
        groups = list(itertools.takewhile(lambda n: not n.is_data and n.keyword != "root", node.up()))
        implicit = bool(node.defaults) or (node.keyword == "container" and not node.presence)
        inner = any(n.keyword == "choice" for g in groups if g.keyword == "case" for n in _structure(g))
        if implicit and inner:
            outer.add(node.name)
    texts = [*d.theirs, *(f"{e.path} {e.message}" for e in d.ours)]
    return all(outer & set(re.findall(r"\bn\d+\b", text)) for text in texts)


def _structure(node: Node) -> Iterator[Node]:
    """The groups, choices and cases below a node that share its data parent."""
    for child in node.children:
        if not child.is_data:
            yield child
            yield from _structure(child)


def _rounds(d: Difference) -> bool:
    """Whether every error is of a condition that rounds, or names something that is under such a when."""
    rounding = {n.name for n in d.drawer.nodes if any(_ROUNDS.search(above.when) for above in (n, *n.up()))}
    texts = [*d.theirs, *(f"{e.path} {e.message}" for e in d.ours)]
    return all(_ROUNDS.search(text) or rounding & set(re.findall(r"\bn\d+\b", text)) for text in texts)


def _all(texts: Sequence[str], part: str) -> bool:
    return bool(texts) and all(part in text for text in texts)


KNOWN: Final[tuple[Known, ...]] = (
    Known(
        "several-bases",
        "9.10.2",
        "an identityref with several bases takes identities derived from all of them; libyang asks for one",
        lambda d: (
            not d.theirs
            and _all([e.message for e in d.ours], "is not an identity derived from")
            and _all([e.message for e in d.ours], " and ")
        ),
    ),
    Known(
        "union-of-several-bases",
        "9.10.2",
        "the same within a union",
        lambda d: (
            not d.theirs
            and _all([e.message for e in d.ours], "fits no member of the union")
            and "base ft:round; base ft:colour;" in d.modules
        ),
    ),
    Known(
        "outer-case",
        "7.6.1 and 7.9.3",
        "data of a choice within a case chooses the outer case too, whose defaults are then in use; "
        "libyang adds those of the inner case only",
        lambda d: d.drawer.inner_choice(d.data) and _about_outer_case(d),
    ),
    Known(
        "deref-of-dangling",
        "9.9.3 and 10.3.1",
        "deref() of a leafref whose require-instance is false gives no node where there is none; "
        "to libyang the data is wrong",
        lambda d: (
            not d.ours
            and _all(d.theirs, "Invalid leafref value")
            and "deref(" in d.modules
            and "require-instance false" in d.modules
        ),
    ),
    Known(
        "root-is-no-element",
        "6.4 (XPath 1.0 section 2.3)",
        "ancestor::* holds elements only; libyang counts the root among the ancestors of a node at the top",
        lambda d: _all([*d.theirs, *(e.message for e in d.ours)], "/ancestor::*)"),
    ),
    Known(
        "key-equal-to-nothing",
        "6.4 (XPath 1.0 section 3.4)",
        "a comparison with an empty node-set is false; libyang's look-up by key takes it for the empty string",
        lambda d: _KEY_BY_PATH.search(d.modules) is not None and '""' in json.dumps(d.data),
    ),
    Known(
        "when-on-a-default-under-a-when",
        "7.6.1 and 7.21.5",
        "a default under a false when is not in use for another when either; libyang still has it then, "
        "and with it what that other when is on",
        lambda d: (
            (not d.theirs and bool(d.ours) and all(_false_when(e) and _on_default(d, e.path) for e in d.ours))
            or (not d.ours and bool(d.theirs) and all(_on_default(d, text.partition(" ")[0]) for text in d.theirs))
        ),
    ),
    Known(
        "rounding",
        "6.4 (XPath 1.0 section 4.4)",
        "floor() and round() go down below zero too, and NaN stays NaN; libyang cuts, and has the context node for NaN",
        _rounds,
    ),
    Known(
        "default-at-the-top-under-a-when",
        "6.4.1, 7.6.1 and 9.9",
        "a default in use under a true when is in the accessible tree, for references and whens as for a must; "
        "libyang's references and whens do not see it at the top",
        lambda d: not d.ours and bool(d.theirs) and all(_default_at_the_top(t, d.drawer) for t in d.theirs),
    ),
    Known(
        "position-within-a-step",
        "6.4 (XPath 1.0 sections 2.1 and 2.4)",
        "position() counts the nodes of one context node; libyang counts those of all context nodes together",
        lambda d: _all([*d.theirs, *(e.message for e in d.ours)], "[position() = "),
    ),
    Known(
        "literal-of-a-union",
        "6.4 (XPath 1.0 section 3.4)",
        "a literal is compared as it is written; libyang makes it a value of the leaf's type first: 8 becomes 8.0",
        lambda d: (
            _DECIMAL_FIRST.search(d.modules) is not None
            and all(_TEXT_OF_NUMBER.search(text) for text in [*d.theirs, *(e.message for e in d.ours)])
        ),
    ),
    Known(
        "internal-error",
        "9.13",
        "an instance-identifier may have another one in a predicate; libyang fails over it, and says that it does",
        lambda d: not d.ours and "Internal error" in d.theirs[0] and _all(d.theirs[1:] or d.theirs, "Storing value"),
    ),
    Known(
        "a-module-of-libyang's-own",
        "6.4.1",
        "the root's children are those of the modules in use; where state is looked at, libyang has the container of "
        "its built-in ietf-yang-schema-mount among them",
        lambda d: d.drawer.model.state and _all([*d.theirs, *(e.message for e in d.ours)], "/*"),
    ),
)


def explanation(difference: Difference) -> str:
    """The name of the row that explains a difference, or an empty text."""
    return next((row.name for row in KNOWN if row.explains(difference)), "")
