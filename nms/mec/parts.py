"""The parts of a deployment: one application instance each, wherever the boundary to its host is cut.

What is done to a part is the same to the caller under every boundary option: who carries it out is a `Carrier`
(`nms.mec.carriers`).  Identifiers of the inside are made of the deployment's and tell nothing of it; a partner is given
only its own.  What cannot be withdrawn at a partner is listed as an orphan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from nms.drivers.api import Resources
from nms.errors import RpcError
from nms.mec import capacity
from nms.mec.carriers import Carrier, Carriers, Part
from nms.mec.occurrence import TEMPORARY, Occurrence
from nms.mec.package_store import PackageStore
from nms.mec.partners import Partners
from nms.mec.reference_points import Mm3, Mp3, ReferencePoint
from nms.mec.scope import Scope
from nms.mec.session import Members
from nms.mec.slices import Slices

#: What a partner is told of a failure inside; the rest is for the operator.
SAID: Mapping[str, str] = {
    "resource-denied": "there is no room for it in the zone",
    "invalid-value": "the platform does not accept it",
    "data-missing": "something that it needs is not there",
    "operation-not-supported": "this infrastructure does not do that",
    "operation-failed": "the application did not start, or the platform could not serve it",
}

#: Seconds that a partner's platform has for the context of users, its application's own time within.
CONTEXT_PATIENCE = 40.0

Within = Callable[[Occurrence], None]


def said(error: Mapping[str, str]) -> Members:
    """A failure (members of the grouping failure) in words for a partner."""
    tag = error.get("error-tag", "operation-failed")
    return {"error-tag": tag, "detail": SAID.get(tag, SAID["operation-failed"])}


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
        content: packages and images by digest.
        slices: those of the domain's own infrastructure.
    """

    def __init__(
        self, carriers: Carriers, content: PackageStore, partners: Partners, slices: Slices | None = None
    ) -> None:
        self._slices = slices
        self._carriers = carriers
        self._content = content
        self._partners = partners

    async def reserve(self, part: Part, amount: Resources, hold_time: int) -> None:
        """Hold the resources of a part; where the whole system is a partner's it does so when it is prepared there."""
        carrier = self._carriers.of(part)
        if carrier.vim is not None:
            self._wanted(part, carrier)
            with abstract(part.scope):
                held = {**capacity.amounts(amount), "instances": 1}
                await carrier.vim.reserve(part.reference, carrier.vim_zone, held, hold_time)

    async def release(self, part: Part) -> None:
        """Give them back."""
        carrier = self._agreed(part)
        if carrier is not None and carrier.vim is not None:
            with abstract(part.scope), self._kept(part, ("mec-resource:resources/reservation",)):
                await carrier.vim.release(part.reference)

    async def hand_over(self, part: Part, package: Members, within: Within) -> None:
        """Have whoever carries the part out hold the package, or its image, as far as a partner needs it."""
        carrier = self._carriers.of(part)
        with abstract(part.scope):
            if carrier.takes_image:
                assert carrier.vim is not None
                image = package["state"]["descriptor"]["sw-image"]
                digest = image["checksum"]["value"]
                size = self._content.path(digest).stat().st_size
                wish = {"digest": digest, "format": image["format"], "size": str(size)}
                await carrier.vim.add_image(digest, wish | self._source(part, digest), within)
            holder = carrier.system or (carrier.manager if carrier.takes_package else None)
            if holder is not None:
                names = ("name", "digest", "signature")
                wish = {name: package[name] for name in names if name in package}
                wish["size"] = package["state"]["bytes-transferred"]
                name = self.package_id(part, package)
                self._partners.reclaim(part.partner, part.agreement, f"{carrier.container}/package", name)
                await holder.onboard(name, wish | self._source(part, package["digest"]), within)

    def _source(self, part: Part, digest: str) -> Members:
        return {"source": self._partners.source(part.partner, part.agreement, digest)}

    async def take_back(self, partner: str, agreement: str, package: Mapping[str, Any], *, image: bool) -> None:
        """Have a partner forget a package of one's own that it was handed, and its image too.  Raises `RpcError`."""
        carrier = self._carriers.at(partner, agreement)
        if carrier.system is not None and await carrier.system.package(package["id"]) is not None:
            await carrier.system.offboard(package["id"])
        if carrier.takes_package and carrier.manager is not None:
            await carrier.manager.offboard(package["digest"])
        digest = package.get("state", {}).get("descriptor", {}).get("sw-image", {}).get("checksum", {}).get("value", "")
        if image and carrier.takes_image and carrier.vim is not None and digest:
            await carrier.vim.remove_image(digest)

    def package_id(self, part: Part, package: Mapping[str, Any]) -> str:
        """Identifier of a package where the part is: where a partner's orchestrator has it the same, else its digest.

        What a partner on-boarded here goes by its digest everywhere.
        """
        same = self._carriers.option(part) == 5 and part.scope.own
        return str(package["id"] if same else package["digest"])

    async def prepare(self, part: Part, wanted: Members, package: Members, within: Within) -> None:
        """Have a partner's orchestrator hold what the part takes; elsewhere `reserve` has done that."""
        carrier = self._carriers.of(part)
        if carrier.system is not None:
            wish = {**self._wish(part, wanted, package), "phase": "prepared"}
            self._wanted(part, carrier)
            with abstract(part.scope):
                held = await carrier.system.deployment(part.reference)
                if held is None or held.get("phase") == "prepared":  # else it was confirmed before a restart
                    await carrier.system.instantiate(part.reference, wish, within)

    async def instantiate(
        self, part: Part, wanted: Members, package: Members, descriptor: Members, within: Within
    ) -> None:
        """Carry the part out."""
        carrier = self._carriers.of(part)
        self._wanted(part, carrier)
        with abstract(part.scope):
            if carrier.system is not None:
                await carrier.system.instantiate(part.reference, self._wish(part, wanted, package), within)
                return
            assert carrier.manager is not None
            if carrier.vim is not None:
                await carrier.vim.confirm(part.reference)
            instance = await self._instance(part, carrier, wanted, package, descriptor)
            await carrier.manager.instantiate(part.reference, instance, within)

    async def operate(self, part: Part, desired_state: str, within: Within) -> None:
        """Have it started or stopped."""
        with abstract(part.scope):
            await self._carriers.of(part).follower.operate(part.reference, desired_state, within)

    async def transfer_context(self, part: Part, target: Mapping[str, Any], joins: Part | None = None) -> None:
        """Have the context of its users go to another instance (members of mec-types:context-target).

        Platforms that are joined settle it between them (Mp3); else who carries the part out sees to it.

        Args:
            joins: the part that takes its place; None: somebody else's.
        """
        with abstract(part.scope):
            if joins is not None and self._served_here(joins) and not self._served_here(part):
                key = (part.partner, part.agreement)
                if self._partners.peers().get(key):
                    await self._partners.point(Mp3, *key).transfer_context(part.reference, target, CONTEXT_PATIENCE)
                    return
            await self._carriers.of(part).follower.transfer_context(part.reference, target)

    def _served_here(self, part: Part) -> bool:
        """Whether the platform is our own: wherever no partner's is behind the boundary (options 2 to 5)."""
        return self._carriers.option(part) in (0, 1)

    async def terminate(self, part: Part, within: Within | None = None, grace: int | None = None) -> None:
        """Withdraw it, gracefully within so many seconds (None: as its application says).

        At a partner that does not answer it becomes an orphan, and an agreement that is gone has taken it along.
        """
        carrier = self._agreed(part)
        if carrier is None:
            return
        with abstract(part.scope), self._kept(part, carrier.held):
            try:
                await carrier.follower.terminate(part.reference, within, grace)
            except RpcError as error:
                if error.app_tag == TEMPORARY and isinstance(carrier.follower, Mm3) and not carrier.takes_package:
                    # Our own manager waits for a partner: what is left there is the ledger's business from now on.
                    waiting = await carrier.follower.latest(part.reference)
                    if waiting is not None:
                        await carrier.follower.fail(waiting.id)
                raise

    @contextmanager
    def _kept(self, part: Part, names: Iterable[str]) -> Iterator[None]:
        """List as orphans what a partner that does not answer, or refuses, may still hold of a part."""
        try:
            yield
        except RpcError as error:
            if not part.partner:
                raise
            for name in names:
                self._partners.orphan(part.partner, part.agreement, name, subject(name, part.reference), error.message)

    def _wanted(self, part: Part, carrier: Carrier) -> None:
        """What is asked of a partner again is no orphan any more."""
        for name in carrier.held if part.partner else ():
            self._partners.reclaim(part.partner, part.agreement, name, subject(name, part.reference))

    async def state(self, part: Part) -> Members:
        """The state of the part: instantiation-state, operational-state, endpoint, error; {} when it is not there."""
        carrier = self._agreed(part)
        if carrier is None:
            return {}
        if carrier.system is not None:
            return whole((await carrier.system.deployment(part.reference) or {}).get("state", {}))
        found = await carrier.managed.app_instance(part.reference)
        return (found or {}).get("state", {})  # type: ignore[no-any-return]

    def lost(self, part: Part) -> Members:
        """The error of a part that runs no more though nobody here has ended it."""
        if not part.partner:
            why = "it does not exist any more"
        elif self._agreed(part) is None:
            why = f"the agreement {part.agreement} with {part.partner} is gone"
        else:
            why = f"{part.partner} has withdrawn it"
        return {"error-tag": "data-missing", "detail": why}

    def teller(self, part: Part) -> tuple[tuple[str, str], ReferencePoint | None]:
        """Who tells of a part: under which agreement ("", "": our own manager), and the point; None: nobody."""
        carrier = self._agreed(part)
        return ((part.partner, part.agreement), None) if carrier is None else (carrier.key, carrier.follower)

    def _agreed(self, part: Part) -> Carrier | None:
        """Who carries the part out; None when there is no agreement with the partner any more."""
        try:
            return self._carriers.of(part)
        except RpcError as error:
            if error.tag != "data-missing" or not part.partner:
                raise
            return None

    def _wish(self, part: Part, wanted: Members, package: Members) -> Members:
        """The deployment that is asked of a partner's orchestrator."""
        names = ("name", "dns-name", "desired-state", "hold-time", "graceful-timeout")
        requirement = {name: value for name, value in wanted.get("requirement", {}).items() if name not in _SPREAD}
        wish = {
            **{name: wanted[name] for name in names if name in wanted},
            "package": self.package_id(part, package),
            "zone": part.remote_zone or part.zone,
            "phase": "confirmed",
        }
        return {**wish, **({"requirement": requirement} if requirement else {})}

    async def _instance(
        self, part: Part, carrier: Carrier, wanted: Members, package: Members, descriptor: Members
    ) -> Members:
        """The application instance that is asked of the platform manager."""
        instance: Members = {
            "package": self.package_id(part, package),
            "zone": carrier.zone,
            "desired-state": wanted.get("desired-state", "started"),
        }
        if carrier.vim is not None:
            instance["reservation"] = part.reference
        if carrier.takes_package:  # option 4: the consumer chooses the provider's infrastructure (Table 4)
            vims = await carrier.managed.vims()
            instance["vim"] = next((each["id"] for each in vims if carrier.zone in each.get("zone", ())), None)
            if instance["vim"] is None:
                raise RpcError("resource-denied", f"{part.partner} shows no infrastructure in zone {carrier.zone}")
        if self._slices is not None and not part.scope.own and not part.partner:
            instance["slice"] = await self._slices.of(part.scope)
        instance |= {name: wanted[name] for name in ("name", "graceful-timeout") if name in wanted}
        if "dns-name" in wanted:
            rules = descriptor.get("dns-rule", ())[:1]
            instance["dns-rule"] = [{"id": rule["id"], "domain-name": wanted["dns-name"]} for rule in rules]
        return instance


def subject(name: str, reference: str) -> str:
    """What a part is called in a partner's list: a compute instance has the platform manager's name for it."""
    return f"{reference}.1" if name.endswith("/compute-instance") else reference


#: A part is one instance: how many there are and how they are spread is decided already.
_SPREAD = ("scale", "affinity")


def whole(state: Members) -> Members:
    """State of a deployment of one instance, in the shape of an application instance's."""
    instance: Members = next(iter(state.get("instance", ())), {})
    names = ("instantiation-state", "operational-state", "error", "started-at")
    shape = {name: state[name] for name in names if name in state}
    return {**shape, **({"endpoint": instance["endpoint"]} if "endpoint" in instance else {})}
