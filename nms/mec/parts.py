"""The parts of a deployment: one application instance each, here over Mm3 and Mm4 or at a partner over Mx3.

What is done to a part is the same to the caller wherever it is.  Identifiers of the inside are made of the deployment's
and tell nothing of it; a partner is given only its own.  What cannot be withdrawn at a partner is listed as an orphan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nms.drivers.api import Resources
from nms.errors import RpcError
from nms.mec import capacity
from nms.mec.occurrence import TEMPORARY, Occurrence
from nms.mec.partners import Partners
from nms.mec.reference_points import Mm3, Mm4, Mx3
from nms.mec.scope import Scope
from nms.mec.session import Members

#: What a partner is told of a failure inside; the rest is for the operator.
SAID: Mapping[str, str] = {
    "resource-denied": "there is no room for it in the zone",
    "invalid-value": "the platform does not accept it",
    "data-missing": "something that it needs is not there",
    "operation-failed": "the application did not start, or the platform could not serve it",
}

Within = Callable[[Occurrence], None]


def said(error: Mapping[str, str]) -> Members:
    """A failure (members of the grouping failure) in words for a partner."""
    tag = error.get("error-tag", "operation-failed")
    return {"error-tag": tag, "detail": SAID.get(tag, SAID["operation-failed"])}


@dataclass(frozen=True, slots=True)
class Part:
    """One application instance of a deployment.

    Attributes:
        id: within the deployment; shown to whoever asked for it.
        zone: as this domain calls it.
        reference: of the application instance here, or of the deployment at the partner.
        partner, agreement, remote_zone: "" for a part of one's own.
    """

    scope: Scope
    deployment: str
    id: str
    zone: str
    reference: str
    partner: str = ""
    agreement: str = ""
    remote_zone: str = ""


def reference(scope: Scope, deployment: str, id: str, partner: str) -> str:
    """The reference of a part; a partner sees the first part of one's own deployment under its own name."""
    if partner and scope.own and id == "1":
        return deployment
    return scope.inner("part", deployment, id)


@contextmanager
def abstract(scope: Scope) -> Iterator[None]:
    """Let a partner know of a failure inside what concerns it: the kind, not who or where."""
    try:
        yield
    except RpcError as error:
        if scope.own:
            raise
        detail = said({"error-tag": error.tag})["detail"]
        raise RpcError(error.tag, detail, app_tag=error.app_tag) from error


class Parts:
    """Does things to parts.

    Args:
        manager: the domain's own platform manager; None where there is none (a broker).
        vim_of: the infrastructure manager of a zone.
    """

    def __init__(self, manager: Mm3 | None, vim_of: Callable[[str], Mm4], partners: Partners) -> None:
        self._manager = manager
        self._vim_of = vim_of
        self._partners = partners

    async def reserve(self, part: Part, amount: Resources, hold_time: int) -> None:
        """Hold the resources of a part of one's own; a partner holds its own when the deployment is prepared there."""
        if not part.partner:
            with abstract(part.scope):
                vim = self._vim_of(part.zone)
                held = {**capacity.amounts(amount), "instances": 1}
                await vim.reserve(part.reference, part.zone, held, hold_time)

    async def release(self, part: Part) -> None:
        """Give them back."""
        if not part.partner:
            with abstract(part.scope):
                await self._vim_of(part.zone).release(part.reference)

    async def hand_over(self, part: Part, package: Members, within: Within) -> None:
        """Have the partner on-board the package of a part."""
        if part.partner:
            mx3 = self._partners.mx3(part.partner, part.agreement)
            source = self._partners.source(part.partner, part.agreement, package["digest"])
            names = ("name", "digest", "signature")
            wish = {name: package[name] for name in names if name in package}
            wish["size"] = package["state"]["bytes-transferred"]
            name = self.package_id(part, package)
            self._partners.reclaim(part.partner, part.agreement, "package", name)
            with abstract(part.scope):
                await mx3.onboard(name, {**wish, "source": source}, within)

    def package_id(self, part: Part, package: Mapping[str, Any]) -> str:
        """Identifier of a package where the part is: of one's own the same, of a partner's its digest."""
        return str(package["id"] if part.partner and part.scope.own else package["digest"])

    async def prepare(self, part: Part, wanted: Members, package: Members, within: Within) -> None:
        """Have a partner hold what the part takes; here `reserve` has done that."""
        if part.partner:
            mx3 = self._partners.mx3(part.partner, part.agreement)
            wish = {**self._wish(part, wanted, package), "phase": "prepared"}
            self._partners.reclaim(part.partner, part.agreement, "deployment", part.reference)
            with abstract(part.scope):
                await mx3.instantiate(part.reference, wish, within)

    async def instantiate(
        self, part: Part, wanted: Members, package: Members, descriptor: Members, within: Within
    ) -> None:
        """Carry the part out."""
        with abstract(part.scope):
            if part.partner:
                mx3 = self._partners.mx3(part.partner, part.agreement)
                self._partners.reclaim(part.partner, part.agreement, "deployment", part.reference)
                await mx3.instantiate(part.reference, self._wish(part, wanted, package), within)
                return
            await self._vim_of(part.zone).confirm(part.reference)
            await self._mm3().instantiate(part.reference, self._instance(part, wanted, package, descriptor), within)

    async def operate(self, part: Part, desired_state: str, within: Within) -> None:
        """Have it started or stopped."""
        with abstract(part.scope):
            if part.partner:
                await self._partners.mx3(part.partner, part.agreement).operate(part.reference, desired_state, within)
            else:
                await self._mm3().operate(part.reference, desired_state, within)

    async def terminate(self, part: Part, within: Within | None = None) -> None:
        """Withdraw it; at a partner that does not answer it becomes an orphan, and an agreement that is gone has taken
        it along.
        """
        with abstract(part.scope):
            if not part.partner:
                await self._mm3().terminate(part.reference, within)
                return
            if (mx3 := self._agreed(part)) is None:
                return
            try:
                await mx3.terminate(part.reference, within)
            except RpcError as error:
                if error.app_tag == TEMPORARY:
                    self._partners.orphan(part.partner, part.agreement, "deployment", part.reference, error.message)
                else:
                    raise

    async def state(self, part: Part) -> Members:
        """The state of the part: instantiation-state, operational-state, endpoint, error; {} when it is not there."""
        if not part.partner:
            found = await self._mm3().app_instance(part.reference)
            return (found or {}).get("state", {})  # type: ignore[no-any-return]
        if (mx3 := self._agreed(part)) is None:
            return {}
        return whole((await mx3.deployment(part.reference) or {}).get("state", {}))

    def lost(self, part: Part) -> Members:
        """The error of a part that runs no more though nobody here has ended it."""
        if not part.partner:
            why = "it does not exist any more"
        elif self._agreed(part) is None:
            why = f"the agreement {part.agreement} with {part.partner} is gone"
        else:
            why = f"{part.partner} has withdrawn it"
        return {"error-tag": "data-missing", "detail": why}

    def _agreed(self, part: Part) -> Mx3 | None:
        """The partner's orchestrator; None when there is no agreement with it any more."""
        try:
            return self._partners.mx3(part.partner, part.agreement)
        except RpcError as error:
            if error.tag != "data-missing":
                raise
            return None

    def _mm3(self) -> Mm3:
        if self._manager is None:
            raise RpcError("operation-failed", "this domain has no platform manager of its own")
        return self._manager

    def _wish(self, part: Part, wanted: Members, package: Members) -> Members:
        """The deployment that is asked of the partner."""
        names = ("name", "dns-name", "desired-state", "hold-time")
        requirement = {name: value for name, value in wanted.get("requirement", {}).items() if name not in _SPREAD}
        wish = {
            **{name: wanted[name] for name in names if name in wanted},
            "package": self.package_id(part, package),
            "zone": part.remote_zone or part.zone,
            "phase": "confirmed",
        }
        return {**wish, **({"requirement": requirement} if requirement else {})}

    def _instance(self, part: Part, wanted: Members, package: Members, descriptor: Members) -> Members:
        """The application instance that is asked of the platform manager."""
        instance: Members = {
            "package": self.package_id(part, package),
            "zone": part.zone,
            "reservation": part.reference,
            "desired-state": wanted.get("desired-state", "started"),
        }
        if "name" in wanted:
            instance["name"] = wanted["name"]
        if "dns-name" in wanted:
            rules = descriptor.get("dns-rule", ())[:1]
            instance["dns-rule"] = [{"id": rule["id"], "domain-name": wanted["dns-name"]} for rule in rules]
        return instance


#: A part is one instance: how many there are and how they are spread is decided already.
_SPREAD = ("scale", "affinity")


def whole(state: Members) -> Members:
    """State of a deployment of one instance, in the shape of an application instance's."""
    instance: Members = next(iter(state.get("instance", ())), {})
    names = ("instantiation-state", "operational-state", "error", "started-at")
    shape = {name: state[name] for name in names if name in state}
    return {**shape, **({"endpoint": instance["endpoint"]} if "endpoint" in instance else {})}
