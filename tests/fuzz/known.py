"""Where the two verdicts differ for a reason that the RFC's text settles.

A row says what libyang 4.5.5 does and the section that decides; its test looks at both lists of errors.  What libyang
cannot be asked for at all is left out where it would be drawn: see `printing` and `instances.Drawer.for_libyang`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nms.errors import RpcError
from tests.fuzz.instances import Drawer


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
        lambda d: d.drawer.inner_choice(d.data) and all(not e.app_tag.startswith("stumble") for e in d.ours),
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
        "rounding-of-nan",
        "6.4 (XPath 1.0 section 4.4)",
        "floor() and ceiling() of NaN are NaN; libyang leaves the context node in their place",
        lambda d: (
            not d.theirs and bool(d.ours) and all("floor(" in e.message or "ceiling(" in e.message for e in d.ours)
        ),
    ),
    Known(
        "module-of-instance-identifier",
        "9.13",
        "our leniency: with require-instance false the path may lead to a module that is not there",
        lambda d: (
            not d.ours and any("Invalid instance-identifier" in t and "No module connected" in t for t in d.theirs)
        ),
    ),
)


def explanation(difference: Difference) -> str:
    """The name of the row that explains a difference, or an empty text."""
    return next((row.name for row in KNOWN if row.explains(difference)), "")
