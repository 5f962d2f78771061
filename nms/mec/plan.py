"""What an order would have done, in each domain, without doing any of it (dry-run; paper 4.2.2).

A plan is made of what is known here already: the zones as they were shown last, the package's descriptor, and what a
partner was handed before.  Nothing is asked of anybody, nothing is written; so it can be outdated the moment it is
given, and holds nothing.  What each boundary option has done, and where, is a table (Tables 3 and 4 of the paper); a
test compares it with what crosses when the order is carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from nms.drivers.api import Resources
from nms.errors import RpcError
from nms.mec import capacity
from nms.mec.carriers import Part
from nms.mec.partners import Partners
from nms.mec.parts import reference
from nms.mec.placement import Candidate, Demand, choose
from nms.mec.session import Members
from nms.mec.zones import OWN


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that is done: over which reference point, where its server is, in which list."""

    point: str
    server: Literal["here", "there"]
    list: str


_HERE: Final = "here"
_THERE: Final = "there"
_RULE: Final = "data-plane-rule"
#: Boundary option (0: a zone of one's own) -> what is done for one instance, in order.
ACTS: Final[Mapping[int, tuple[Act, ...]]] = {
    0: (
        Act("mm4", _HERE, "reservation"),
        Act("mm3", _HERE, "app-instance"),
        Act("mm6", _HERE, "compute-instance"),
        Act("mm5", _HERE, "application"),
    ),
    1: (
        Act("mm4", _THERE, "reservation"),
        Act("mm4", _THERE, "image"),
        Act("mm3", _HERE, "app-instance"),
        Act("mm6", _THERE, "compute-instance"),
        Act("mm5", _HERE, "application"),
        Act("mp2", _THERE, _RULE),
    ),
    2: (
        Act("mm4", _HERE, "reservation"),
        Act("mm3", _HERE, "app-instance"),
        Act("mm6", _HERE, "compute-instance"),
        Act("mm5", _THERE, "application"),
        Act("mp2", _HERE, _RULE),
    ),
    3: (
        Act("mm3", _HERE, "app-instance"),
        Act("mm6", _THERE, "image"),
        Act("mm6", _THERE, "compute-instance"),
        Act("mm5", _THERE, "application"),
    ),
    4: (
        Act("mm4", _THERE, "reservation"),
        Act("mm4", _THERE, "image"),
        Act("mm3", _THERE, "package"),
        Act("mm3", _THERE, "app-instance"),
    ),
    5: (Act("mx3", _THERE, "package"), Act("mx3", _THERE, "deployment")),
}


class Planner:
    """Plans.

    Args:
        domain: identifier of this domain.
        candidates: gives the zones that may be chosen now.
        describe: gives a package of ours, with its state, and its descriptor; raises `RpcError`.
        demand: what a wish, with a descriptor, demands of a zone.
    """

    def __init__(
        self,
        domain: str,
        candidates: Callable[[], Sequence[Candidate]],
        describe: Callable[[str], tuple[Members, Members]],
        demand: Callable[[Members, Members], Demand],
        partners: Partners,
    ) -> None:
        self._domain = domain
        self._candidates = candidates
        self._describe = describe
        self._demand = demand
        self._partners = partners

    def plan(self, order: Members) -> Members:
        """The plan for an order (input and output of mec-order:plan-order).

        An item takes what the items before it have left.
        """
        taken: dict[str, Resources] = {}
        planned = [self._item(f"{order['id']}.{item['id']}", item, taken) for item in order["item"]]
        return {"feasible": all("error" not in each for each in planned), "item": planned}

    def _item(self, deployment: str, item: Members, taken: dict[str, Resources]) -> Members:
        try:
            package, descriptor = self._describe(item["package"])
            countries = item.get("acceptable-country")
            free = [
                _less(each, taken.get(each.zone))
                for each in self._candidates()
                if not countries or each.country in countries
            ]
            demand = self._demand(descriptor, item)
            choices = choose(free, demand, self._domain)
        except RpcError as error:
            return {"id": item["id"], "error": {"error-tag": error.tag, "detail": error.message}}
        parts: list[Members] = []
        for number, choice in enumerate(choices, 1):
            zone = choice.candidate
            taken[zone.zone] = taken.get(zone.zone, Resources()) + demand.each
            name = reference(OWN, deployment, str(number), zone.partner)
            where = (zone.zone, name, zone.partner, zone.agreement, zone.remote_zone)
            part = Part(OWN, deployment, str(number), *where)
            parts.append(self._part(part, item, package, descriptor) | {"reason": list(choice.reasons)})
        return {"id": item["id"], "part": parts}

    def _part(self, part: Part, item: Members, package: Members, descriptor: Members) -> Members:
        option = self._partners.option(part.partner, part.agreement) if part.partner else 0
        held = self._partners.held(part.partner, part.agreement) if part.partner else ()
        shown: Members = {"id": part.id, "domain": part.partner or self._domain, "zone": part.zone}
        if part.partner:
            shown["agreement"] = part.agreement
        steps: list[Members] = []
        for act in ACTS.get(option, ()):
            subject, detail = _about(act.list, part, option, item, package, descriptor)
            if act.list == _RULE and not descriptor.get("traffic-rule"):
                continue
            if _is_held(held, act.list, subject):
                detail += "; it is there already"
            step = {
                "sequence": len(steps) + 1,
                "domain": self._domain if act.server == _HERE else part.partner,
                "reference-point": f"mec-types:{act.point}",
                "subject-type": act.list,
                "subject": subject,
                "detail": detail,
            }
            steps.append(step)
        return {**shown, "step": steps}


def _is_held(held: Collection[tuple[str, str]], name: str, subject: str) -> bool:
    return any((path.rpartition("/")[2], each) == (name, subject) for path, each in held)


def _less(candidate: Candidate, taken: Resources | None) -> Candidate:
    """A candidate with so much less that is free."""
    if taken is None or candidate.free is None:
        return candidate
    return replace(candidate, free=candidate.free - taken)


def _about(kind: str, part: Part, option: int, item: Members, package: Members, descriptor: Members) -> tuple[str, str]:
    """(subject, detail) of one act."""
    zone = part.remote_zone or part.zone
    image = descriptor["sw-image"]["checksum"]["value"]
    if kind == "image":
        return image, f"image of {descriptor['name']}"
    if kind == "package":
        return package["id"] if option == 5 else package["digest"], f"{package.get('size', '?')} bytes"
    if kind in ("reservation", "compute-instance"):
        amount = capacity.amounts(capacity.demand(descriptor))
        room = f"{amount['cpu']} CPU, {amount['memory']} MiB of memory, {amount['storage']} MiB of storage in {zone}"
        return f"{part.reference}.1" if kind == "compute-instance" else part.reference, room
    if kind in ("application", _RULE):
        rules = len(descriptor.get("traffic-rule", ()))
        if kind == _RULE:
            return part.reference, f"{rules} traffic rules"
        names = [item["dns-name"]] if "dns-name" in item else []
        names += [rule["domain-name"] for rule in descriptor.get("dns-rule", ())[len(names) :]]
        return part.reference, f"{rules} traffic rules; DNS names: {', '.join(names) or 'none'}"
    return part.reference, f"{package['id']} in {zone}"
