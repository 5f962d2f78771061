"""The reference points between the blocks (ETSI GS MEC 003 clause 8; Mx3: Integration options, section 5.4).

Each is a small typed face of a `ManagementSession`: it writes an intent, follows the operation occurrence that the
intent has caused (`nms.mec.reference_point`), and returns when that is completed.  Nothing here knows whether the other
block is in this process or in another operator's domain.

| point | from - to | over the subtree |
| --- | --- | --- |
| `Mm1`, `Mx3` | OSS - MEO, MEO - MEO of another domain | mec-system:system |
| `Mm2` | OSS - MEPM | mec-platform-manager: configuration, faults, performance |
| `Mm3` | MEO - MEPM | mec-platform-manager: packages, application instances |
| `Mm4` | MEO - VIM | mec-resource: zones, slices, images, reservations |
| `Mm5` | MEPM - MEP | mec-platform: applications with their rules |
| `Mm6` | MEPM - VIM | mec-resource: compute instances; slices and images where only this point is a partner's |
| `Mp2` | MEP - data plane | mec-resource: data-plane rules |
| `Mp3` | MEP - MEP of another domain | mec-platform: services, context of users |
| `Mp2Compute` | MEP - infrastructure that it stands on | mec-resource: its image and compute instance |
| `Mm8` | life-cycle proxy - OSS | mec-order: orders on behalf of device applications |
| `Mm9` | life-cycle proxy - MEO | mec-system: packages |
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from nms.errors import RpcError
from nms.mec.occurrence import Progress, plain
from nms.mec.reference_point import ReferencePoint as ReferencePoint
from nms.mec.session import DataEdit, Members


class _Packages(ReferencePoint):
    """Points over which packages are on-boarded."""

    async def onboard(self, id: str, package: Mapping[str, Any], progress: Progress | None = None) -> Members:
        """On-board a package (members of the list package: source, digest, size ...); gives its state."""
        await self._carry_out(DataEdit(f"/package[id='{id}']", "replace", package), id, ("onboard",), progress)
        return (await self.package(id) or {}).get("state", {})  # type: ignore[no-any-return]

    async def offboard(self, id: str, progress: Progress | None = None) -> None:
        """Remove a package; refused while it is in use."""
        await self._carry_out(DataEdit(f"/package[id='{id}']", "remove"), id, ("delete-package",), progress)

    async def package(self, id: str) -> Members | None:
        """A package with its state."""
        return await self.session.get(f"/package[id='{id}']")

    async def packages(self) -> Sequence[Members]:
        """All packages."""
        return await self._entries("package")


class System(_Packages):
    """A whole MEC system: what Mm1 and Mx3 have in common, which is all."""

    async def zones(self) -> Sequence[Members]:
        """Zones, abstract, with what is left in them."""
        return await self._entries("zone")

    async def deployment(self, id: str) -> Members | None:
        """A deployment with its state."""
        return await self.session.get(f"/deployment[id='{id}']")

    async def deployments(self) -> Sequence[Members]:
        """All deployments."""
        return await self._entries("deployment")

    async def instantiate(self, id: str, deployment: Mapping[str, Any], progress: Progress | None = None) -> Members:
        """Deploy an application (members of the list deployment); gives its state."""
        edit = DataEdit(f"/deployment[id='{id}']", "replace", deployment)
        await self._carry_out(edit, id, ("instantiate", "start", "stop", "scale", "update"), progress)
        return (await self.deployment(id) or {}).get("state", {})  # type: ignore[no-any-return]

    async def confirm(self, id: str, progress: Progress | None = None) -> Members:
        """Carry a prepared deployment out; gives its state."""
        edit = DataEdit(f"/deployment[id='{id}']", "merge", {"phase": "confirmed"})
        await self._carry_out(edit, id, ("instantiate",), progress)
        return (await self.deployment(id) or {}).get("state", {})  # type: ignore[no-any-return]

    async def scale(self, id: str, instances: int, progress: Progress | None = None) -> None:
        """Have a deployment of so many instances; with so many already nothing happens."""
        await self.revise(id, {"requirement": {"scale": instances}}, progress)

    async def update(self, id: str, package: str, progress: Progress | None = None) -> None:
        """Have a deployment made of another package, the new instances before the old ones end.

        Raises `RpcError`: they did not come up, the old ones run on.
        """
        await self.revise(id, {"package": package}, progress)

    async def revise(self, id: str, changes: Mapping[str, Any], progress: Progress | None = None) -> Members:
        """Change what a deployment is made of (members of the list deployment); gives its state."""
        edit = DataEdit(f"/deployment[id='{id}']", "merge", changes)
        await self._carry_out(edit, id, ("scale", "update"), progress)
        return (await self.deployment(id) or {}).get("state", {})  # type: ignore[no-any-return]

    async def transfer_context(self, id: str, target: Mapping[str, Any]) -> None:
        """Have the context of a deployment's users go to an instance (members of mec-types:context-target)."""
        await self._transfer_context(f"/deployment[id='{id}']", id, target)

    async def operate(self, id: str, desired_state: str, progress: Progress | None = None) -> None:
        """Have a deployment "started" or "stopped"."""
        edit = DataEdit(f"/deployment[id='{id}']", "merge", {"desired-state": desired_state})
        await self._carry_out(edit, id, ("start", "stop", "instantiate"), progress)

    async def terminate(self, id: str, progress: Progress | None = None, grace: int | None = None) -> None:
        """Withdraw a deployment, gracefully within so many seconds (None: as it says); an unknown one is no error."""
        await self._end(f"/deployment[id='{id}']", id, progress, grace)

    async def relocate(
        self, id: str, deployment: str, target_zone: str, reason: str = "", progress: Progress | None = None
    ) -> None:
        """Move a deployment to another zone; `id` is the wish's own, and the same wish again is the same relocation."""
        wish = {"deployment": deployment, "target-zone": target_zone, **({"reason": reason} if reason else {})}
        await self._carry_out(DataEdit(f"/relocation[id='{id}']", "replace", wish), id, ("relocate",), progress)


class Mm1(System):
    """OSS - MEO: instantiate, terminate, relocate applications."""

    point = "mm1"


class Mx3(System):
    """MEO - MEO of two domains: interconnection of whole MEC systems."""

    point = "mx3"


class Mm2(ReferencePoint):
    """OSS - MEPM: configuration, faults and performance of the platform manager."""

    point = "mm2"

    async def configuration(self) -> Members:
        """Configuration of the managed platform."""
        return await self.session.get("/configuration") or {}

    async def configure(self, configuration: Mapping[str, Any]) -> None:
        """Change it (members of the container configuration)."""
        await self._edit([DataEdit("/configuration", "merge", configuration)])


class Mm3(_Packages):
    """MEO - MEPM: application life cycle, rules and requirements."""

    point = "mm3"

    async def vims(self) -> Sequence[Members]:
        """Infrastructure managers that may be chosen, with their zones."""
        return await self._entries("vim")

    async def app_instance(self, id: str) -> Members | None:
        """An application instance with its state."""
        return await self.session.get(f"/app-instance[id='{id}']")

    async def app_instances(self) -> Sequence[Members]:
        """All application instances."""
        return await self._entries("app-instance")

    async def instantiate(self, id: str, app_instance: Mapping[str, Any], progress: Progress | None = None) -> Members:
        """Make an application instance (members of the list app-instance); gives its state."""
        edit = DataEdit(f"/app-instance[id='{id}']", "replace", app_instance)
        await self._carry_out(edit, id, ("instantiate", "start", "stop", "configure"), progress)
        return (await self.app_instance(id) or {}).get("state", {})  # type: ignore[no-any-return]

    async def transfer_context(self, id: str, target: Mapping[str, Any]) -> None:
        """Have the context of its users go to another instance (members of mec-types:context-target)."""
        await self._transfer_context(f"/app-instance[id='{id}']", id, target)

    async def operate(self, id: str, desired_state: str, progress: Progress | None = None) -> None:
        """Have it "started" or "stopped"."""
        edit = DataEdit(f"/app-instance[id='{id}']", "merge", {"desired-state": desired_state})
        await self._carry_out(edit, id, ("start", "stop", "instantiate"), progress)

    async def terminate(self, id: str, progress: Progress | None = None, grace: int | None = None) -> None:
        """Withdraw an application instance, as `System.terminate` does a deployment; an unknown one is no error."""
        await self._end(f"/app-instance[id='{id}']", id, progress, grace)


class _Infrastructure(ReferencePoint):
    """Points over which an infrastructure manager is asked for a slice, and handed software images."""

    async def slice(self, id: str) -> Members | None:
        """A slice of the infrastructure, with its state."""
        return await self.session.get(f"/slice[id='{id}']")

    async def add_slice(self, id: str, slice_: Mapping[str, Any], progress: Progress | None = None) -> Members:
        """Have a slice (members of the list slice), where asked for with a manager of its own; gives its state.

        Raises `RpcError`: resource-denied; in-use (the agreement has something elsewhere already).
        """
        edit = DataEdit(f"/slice[id='{id}']", "replace", slice_)
        await self._carry_out(edit, id, ("instantiate", "configure"), progress)
        return (await self.slice(id) or {}).get("state", {})  # type: ignore[no-any-return]

    async def remove_slice(self, id: str, progress: Progress | None = None) -> None:
        """Give a slice back with its manager; an unknown one is no error.  Raises `RpcError`: in-use."""
        await self._carry_out(DataEdit(f"/slice[id='{id}']", "remove"), id, ("terminate",), progress)

    async def image(self, id: str) -> Members | None:
        """A software image that the manager holds, with its state."""
        return await self.session.get(f"/image[id='{id}']")

    async def add_image(self, id: str, image: Mapping[str, Any], progress: Progress | None = None) -> None:
        """Have the manager hold a software image (members of the list image)."""
        await self._carry_out(DataEdit(f"/image[id='{id}']", "replace", image), id, ("onboard",), progress)

    async def remove_image(self, id: str, progress: Progress | None = None) -> None:
        """Have it forget the image."""
        await self._carry_out(DataEdit(f"/image[id='{id}']", "remove"), id, ("delete-package",), progress)


class Mm4(_Infrastructure):
    """MEO - VIM: zones and hosts, slices, images, reservations."""

    point = "mm4"

    async def zones(self) -> Sequence[Members]:
        """Zones; what they have left is in ``state``."""
        return await self._entries("zone")

    async def reserve(self, id: str, zone: str, amount: Mapping[str, Any], hold_time: int) -> None:
        """Hold resources for `hold_time` seconds; what is confirmed stays so.  Raises `RpcError`: resource-denied."""
        wish = {"zone": zone, "amount": dict(amount), "hold-time": hold_time}
        await self._write_reservation(id, wish, ("held", "confirmed"))

    async def confirm(self, id: str) -> None:
        """Keep held resources until they are released.  Raises `RpcError`: the hold is over."""
        await self._write_reservation(id, {"confirmed": True}, ("confirmed", "expired"))

    async def _write_reservation(self, id: str, wish: Members, until: Sequence[str]) -> None:
        path = f"/reservation[id='{id}']"
        await self._edit([DataEdit(path, "merge", wish)])
        state = (await self._settle(path, lambda state: plain(state.get("state", "")) in until)).get("state", {})
        if plain(state["state"]) == "expired":
            raise RpcError("operation-failed", f"the hold of reservation {id} is over")

    async def release(self, id: str) -> None:
        """Give reserved resources back; an unknown reservation is no error."""
        await self._edit([DataEdit(f"/reservation[id='{id}']", "remove")])


class Mm5(ReferencePoint):
    """MEPM - MEP: applications with their traffic and DNS rules, and their life cycle towards the platform."""

    point = "mm5"

    async def dns_zone(self) -> str:
        """Zone that names of a single label lie in; "" when the platform has none."""
        configuration = await self.session.get("/configuration") or {}
        return str(configuration.get("dns-zone", ""))

    async def access(self) -> Members:
        """Where applications reach the platform (members of mec-types:platform-access); {} where they cannot."""
        return await self.session.get("/mp1") or {}

    async def application(self, id: str) -> Members | None:
        """An application with its state."""
        return await self.session.get(f"/application[id='{id}']")

    async def serve(self, id: str, application: Mapping[str, Any]) -> Members:
        """Have the platform serve an application (members of the list application); gives it with its state.

        Raises `RpcError`: what made a rule fail.
        """
        await self._edit([DataEdit(f"/application[id='{id}']", "replace", application)])
        return await self._settle(f"/application[id='{id}']", lambda state: state.get("ready") is True)

    async def transfer_context(self, id: str, target: Mapping[str, Any], patience: float) -> None:
        """Have an application take the context of its users to another instance, within `patience` seconds.

        Raises `RpcError`: it does not speak Mp1, or has not said in time that it has done so.
        """
        path = f"/application[id='{id}']"
        state = (await self.session.get(path) or {}).get("state", {})
        if "confirmed-ready-at" not in state:
            raise RpcError("operation-failed", "the application has not said over Mp1 that it is ready")
        await self._edit([DataEdit(path, "merge", {"user-context-transfer": dict(target)})])
        try:
            async with asyncio.timeout(patience):
                await self._settle(path, lambda state: "context-transferred-at" in state)
        except TimeoutError:
            why = f"the application has not transferred the context of its users within {patience:g} s"
            raise RpcError("operation-failed", why) from None

    async def withdraw(self, id: str, grace: int = 0) -> None:
        """Have it end service: rules and records first, then the entry; an unknown one is no error.

        An application that speaks Mp1 gets `grace` seconds for its end.
        """
        if await self.session.get(f"/application[id='{id}']", "config") is None:
            return
        wish = {"desired-state": "terminated", "graceful-timeout": grace}
        await self._edit([DataEdit(f"/application[id='{id}']", "merge", wish)])
        with contextlib.suppress(RpcError):  # what cannot be withdrawn now the platform remembers, and withdraws later
            await self._settle(
                f"/application[id='{id}']", lambda state: plain(state.get("operational-state", "")) == "stopped"
            )
        await self._edit([DataEdit(f"/application[id='{id}']", "remove")])


class Mp2(ReferencePoint):
    """MEP - data plane: traffic rules of applications."""

    point = "mp2"

    async def activate(self, application: str, rule: Mapping[str, Any]) -> None:
        """Put a rule (members of the list data-plane-rule) in force.  Raises `RpcError`: what made it fail."""
        path = f"/data-plane-rule[instance='{application}'][id='{rule['id']}']"
        await self._edit([DataEdit(path, "replace", dict(rule))])
        await self._settle(path, lambda state: plain(state.get("state", "")) == "active")

    async def rules(self) -> Sequence[Members]:
        """All rules, with their state."""
        return await self._entries("data-plane-rule")

    async def deactivate(self, application: str, rule: str) -> None:
        """Take a rule out of force; an unknown one is no error."""
        await self._edit([DataEdit(f"/data-plane-rule[instance='{application}'][id='{rule}']", "remove")])


class Mp3(ReferencePoint):
    """MEP - MEP of two domains: services of the other platform, and the context of users that move."""

    point = "mp3"

    async def services(self) -> Sequence[Members]:
        """Services that may be consumed here."""
        return await self._entries("service")

    async def transfer_context(self, id: str, target: Mapping[str, Any], patience: float) -> None:
        """Have the context of users come to an instance (members of mec-types:context-target) that is served here.

        Args:
            id: what we call, under the agreement, what its users leave.
            patience: seconds.

        Raises:
            RpcError: its application could not hand it over, or has not in time.
        """
        path = f"/context-transfer[id='{id}']"
        await self._edit([DataEdit(path, "remove")])  # of an attempt whose outcome nobody has heard
        await self._edit([DataEdit(path, "create", dict(target))])
        try:
            async with asyncio.timeout(patience):
                await self._settle(path, lambda state: "context-transferred-at" in state)
        except TimeoutError:
            raise RpcError("operation-failed", f"the partner has not said within {patience:g} s that it has") from None
        finally:
            await self._edit([DataEdit(path, "remove")])


class Mm6(_Infrastructure):
    """MEPM - VIM: virtual resources of an application instance."""

    point = "mm6"

    async def zones(self) -> Sequence[Members]:
        """Zones; what they have left is in ``state``."""
        return await self._entries("zone")

    async def compute_instance(self, id: str) -> Members | None:
        """A compute instance with its state."""
        return await self.session.get(f"/compute-instance[id='{id}']")

    async def compute_instances(self) -> Sequence[Members]:
        """All compute instances."""
        return await self._entries("compute-instance")

    async def allocate(self, id: str, compute: Mapping[str, Any], progress: Progress | None = None) -> Members:
        """Have a compute instance (members of the list compute-instance) made and started; gives its state."""
        edit = DataEdit(f"/compute-instance[id='{id}']", "replace", compute)
        await self._carry_out(edit, id, ("instantiate", "start", "stop"), progress)
        return (await self.compute_instance(id) or {}).get("state", {})  # type: ignore[no-any-return]

    async def operate(self, id: str, desired_state: str, progress: Progress | None = None) -> Members:
        """Have it "started" or "stopped"; gives its state."""
        edit = DataEdit(f"/compute-instance[id='{id}']", "merge", {"desired-state": desired_state})
        await self._carry_out(edit, id, ("start", "stop", "instantiate"), progress)
        return (await self.compute_instance(id) or {}).get("state", {})  # type: ignore[no-any-return]

    async def release(self, id: str, progress: Progress | None = None, grace: int | None = None) -> None:
        """Stop it, by force after so many seconds (None: as it is), and give its resources back.

        An unknown one is no error.
        """
        await self._end(f"/compute-instance[id='{id}']", id, progress, grace)


class Mp2Compute(Mm6):
    """MEP - infrastructure that it steers: what it asks for where it stands there itself (Table 3, option 2)."""

    point = "mp2"


class Mm8(ReferencePoint):
    """Life-cycle proxy - OSS: orders on behalf of device applications."""

    point = "mm8"

    async def order(self, id: str) -> Members | None:
        """An order with its state."""
        return await self.session.get(f"/order[id='{id}']")

    async def orders(self) -> Sequence[Members]:
        """All orders."""
        return await self._entries("order")

    async def place(self, id: str, order: Mapping[str, Any]) -> None:
        """Place an order (members of the list order); the same again changes nothing."""
        await self._edit([DataEdit(f"/order[id='{id}']", "merge", order)])

    async def withdraw(self, id: str) -> None:
        """Withdraw an order with what it has brought about; an unknown one is no error."""
        await self._edit([DataEdit(f"/order[id='{id}']", "remove")])


class Mm9(_Packages):
    """Life-cycle proxy - MEO: which applications there are."""

    point = "mm9"
