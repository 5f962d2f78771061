"""The table of differences between two editions of a module: breaking, compatible or editorial (RFC 7950 section 11).

The codes are words that do not change their meaning; each carries what the RFC says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

Class = Literal["breaking", "compatible", "editorial"]
CLASSES: Final[tuple[Class, ...]] = ("breaking", "compatible", "editorial")
#: Class of the whole -> the part of a semantic version that moves.
LABELS: Final[Mapping[str, str]] = {"breaking": "major", "compatible": "minor", "editorial": "patch", "none": "none"}

_B: Final = "breaking"
_C: Final = "compatible"
#: code -> class and the reason, in the words of RFC 7950 section 11.
KINDS: Final[Mapping[str, tuple[Class, str]]] = {
    "module-removed": (_B, "a definition must not be removed"),
    "module-added": (_C, "definitions may be added"),
    "node-removed": (_B, "a definition must not be removed: deprecate it, then make it obsolete"),
    "node-added": (_C, "data definitions may be added when they do not add mandatory nodes"),
    "mandatory-added": (_B, "a mandatory node must not be added to existing nodes: old requests become invalid"),
    "mandatory-removed": (_C, "mandatory may be removed"),
    "kind-changed": (_B, "a definition must keep its kind"),
    "choice-changed": (_B, "nodes must not be moved into, out of or between cases"),
    "state-to-config": (_C, "state may become configuration when it is not mandatory"),
    "config-to-state": (_B, "configuration must not become state: clients that write it are refused"),
    "default-added": (_C, "a default may be added where there was none"),
    "default-changed": (_B, "a default must not be changed or removed: it silently changes what a device does"),
    "elements-narrowed": (_B, "min-elements must not grow nor max-elements shrink"),
    "elements-expanded": (_C, "min-elements may shrink and max-elements grow"),
    "must-added": (_B, "a must may be relaxed or removed, not added: valid data becomes invalid"),
    "must-changed": (_B, "a must may only be relaxed; whether this one is cannot be decided: review it"),
    "must-removed": (_C, "a must may be removed"),
    "when-added": (_B, "a when must not be added: nodes that were there are gone"),
    "when-changed": (_B, "whether a changed when is relaxed cannot be decided: review it"),
    "when-removed": (_C, "the node may be there more often"),
    "key-changed": (_B, "the key of a list must not change: every instance path does"),
    "unique-added": (_B, "a unique must not be added"),
    "unique-removed": (_C, "a unique may be removed"),
    "presence-changed": (_B, "presence changes what an empty container means"),
    "order-changed": (_B, "ordered-by must not change"),
    "units-added": (_C, "units may be added"),
    "units-changed": (_B, "units must not change: the same number means something else"),
    "status-advanced": (_C, "status may go from current to deprecated to obsolete"),
    "status-reverted": (_B, "status must not go back"),
    "type-changed": (_B, "a type must keep its syntax and meaning"),
    "range-narrowed": (_B, "a range or length may only expand the values"),
    "range-expanded": (_C, "a range or length may expand the values"),
    "pattern-added": (_B, "a pattern may only expand the values"),
    "pattern-removed": (_C, "a pattern may expand the values"),
    "value-removed": (_B, "an enum or bit must not be removed"),
    "value-renumbered": (_B, "the number of an enum or bit must not change"),
    "value-added": (_C, "enums and bits may be added"),
    "reference-required": (_B, "require-instance may be relaxed only"),
    "reference-relaxed": (_C, "require-instance may change from true to false"),
    "identity-removed": (_B, "an identity must not be removed"),
    "identity-added": (_C, "identities may be added"),
    "base-removed": (_B, "a base of an identity must not be removed: references to it lose this value"),
    "base-added": (_C, "a base may be added to an identity"),
    "feature-added": (_C, "features may be added"),
    "statement": (_B, "pyang's update check: see its message"),
    "revision": ("editorial", "each published change has a new revision: two texts must not carry the same date"),
    "text": ("editorial", "descriptions, references and layout may be clarified"),
}  # fmt: skip


@dataclass(frozen=True, order=True, slots=True)
class Change:
    """One difference.

    Attributes:
        file, line: its place in the new edition; "" and 0 where there is none.
        path: a schema path or a definition's name; the first one where a grouping brings it to `times` places.
    """

    module: str
    file: str
    line: int
    path: str
    code: str
    message: str
    times: int = 1

    @property
    def kind(self) -> Class:
        """breaking, compatible or editorial."""
        return KINDS[self.code][0]

    @property
    def reason(self) -> str:
        """What RFC 7950 section 11 says about it."""
        return KINDS[self.code][1]


def overall(changes: Iterable[Change]) -> str:
    """The gravest class, "none" if nothing differs."""
    kinds = {change.kind for change in changes}
    return next((kind for kind in CLASSES if kind in kinds), "none")


def next_version(version: str, kind: str) -> str:
    """`version` (MAJOR.MINOR.PATCH) with the part moved that belongs to a class."""
    parts = [int(part) for part in version.split(".")]
    at = {"breaking": 0, "compatible": 1, "editorial": 2}.get(kind)
    if at is None:
        return version
    return ".".join(str(part) for part in (*parts[:at], parts[at] + 1, *[0] * (2 - at)))
