"""What crosses a boundary, counted by reference point, kind of message and what it is about (paper, Tables 3 and 4).

Pure bookkeeping: a `Traffic` belongs to one agreement, is told of every request and notification, and shows counts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from nms.federation.options import INTERCONNECTION, BoundaryOption

Kind = Literal["edit", "read", "action", "notification"]

_STEP: Final = re.compile(r"/(?:[\w.-]+:)?([\w.-]+)")
#: What a notification is about when no leaf of it names a list.
_ABOUT: Final[Mapping[str, str]] = {
    "mec-federation:alarm-notification": "alarm",
    "mec-federation:kpi-report": "kpi",
    "mec-system:deployment-changed": "deployment",
    "mec-system:package-changed": "package",
    "mec-platform-manager:app-instance-changed": "app-instance",
    "mec-platform:rule-changed": "application",
    "mec-platform:service-availability-changed": "service",
}
#: Where several reference points share a model: who speaks of what, the most particular first.
_SPEAKERS: Final[Mapping[str, tuple[str, ...]]] = {
    "slice": ("mm4", "mm6"),
    "image": ("mm4", "mm6", "mp2"),
    "reservation": ("mm4",),
    "compute-instance": ("mm6", "mp2"),
    "data-plane-rule": ("mp2",),
    "application": ("mm5",),
    "service": ("mm5",),
    "app-instance": ("mm3",),
    "package": ("mx3", "mm3"),
    "deployment": ("mx3",),
    "relocation": ("mx3",),
    # Of what a platform manager, or the whole system, has; else an infrastructure manager tells its (paper, phase 2).
    "alarm": ("mx3", "mm2", "mm6", "mm5"),
    "kpi": ("mx3", "mm2", "mm6", "mm5"),
}
#: What else messages are about; whatever a partner says beside these is counted together, so that it cannot make us
#: hold any number of names.
_KNOWN: Final = frozenset({*_SPEAKERS, *_ABOUT.values()})
_OTHER: Final = "other"


class Traffic:
    """The counts of one agreement.

    Args:
        changed: called after each change.
    """

    def __init__(self, option: BoundaryOption, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._points = [point.name for point in (*option.points, INTERCONNECTION)]
        #: (reference point, kind, what it was about) -> how many.
        self.counts: Counter[tuple[str, Kind, str]] = Counter()

    def asked(self, point: str, kind: Kind, path: str) -> None:
        """A request was made over `point` for what is at `path` below the model's container."""
        found = _STEP.match(path)
        self.counts[point, kind, found[1] if found else ""] += 1
        self._changed()

    def told(self, name: str, members: Mapping[str, Any]) -> None:
        """A notification has come."""
        about = members.get("subject-type") or members.get("resource-type") or _ABOUT.get(name)
        if about is None:
            return  # of the federation itself: no reference point's
        # Of services a platform tells the other one over Mp3, and a manager over Mm5, whose they are.
        of_a_peer = members.get("is-local") is False
        about = about if about in _KNOWN else _OTHER
        speakers = (INTERCONNECTION.name,) if of_a_peer else _SPEAKERS.get(about, tuple(self._points))
        point = next((each for each in speakers if each in self._points), None)
        if point is not None:
            self.counts[point, "notification", about] += 1
            self._changed()

    def shown(self, point: str) -> list[dict[str, str]]:
        """Entries of the list exchange of a reference point."""
        return [
            {"kind": kind, "about": about, "count": str(count)}
            for (name, kind, about), count in sorted(self.counts.items())
            if name == point
        ]
