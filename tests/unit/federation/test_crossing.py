"""What crosses is counted under names that are known beforehand, whatever a partner sends."""

from __future__ import annotations

from nms.federation.crossing import Traffic
from nms.federation.options import OPTIONS


def counted(*notifications: tuple[str, dict[str, str]]) -> list[dict[str, str]]:
    """What is shown of Mm4 after these notifications of a partner under option 1."""
    traffic = Traffic(OPTIONS[0], lambda: None)
    for name, members in notifications:
        traffic.told(name, members)
    return traffic.shown("mm4")


def test_what_a_partner_tells_of_is_counted_by_its_list() -> None:
    shown = counted(("mec-resource:resource-changed", {"resource-type": "image", "resource": "x"}))
    assert shown == [{"kind": "notification", "about": "image", "count": "1"}]


def test_names_that_a_partner_invents_are_counted_together() -> None:
    invented = [("mec-resource:resource-changed", {"resource-type": f"made-up-{n}"}) for n in range(100)]
    occurrence = ("mec-types:operation-occurrence-changed", {"subject-type": "no\nlist" * 1000})
    assert counted(*invented, occurrence) == [{"kind": "notification", "about": "other", "count": "101"}]
