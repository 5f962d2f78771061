"""Who carries a part of a deployment out, by the boundary option that its zone comes under: a table.

Five options differ in three answers only: which platform manager, which infrastructure manager, and what of a package
has to be handed across (Tables 3 and 4 of the paper).  It must not know what is done with them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nms.errors import RpcError
from nms.mec.partners import Partners
from nms.mec.reference_points import Mm3, Mm4, Mx3
from nms.mec.scope import Scope


@dataclass(frozen=True, slots=True)
class Part:
    """One application instance of a deployment.

    Attributes:
        id: within the deployment; shown to whoever asked for it.
        zone: as this domain calls it.
        reference: of the application instance here, or of the deployment at the partner.
        partner, agreement, remote_zone: "" for a part of one's own.
        package: that it is made of, as whoever asked for it calls it.
    """

    scope: Scope
    deployment: str
    id: str
    zone: str
    reference: str
    partner: str = ""
    agreement: str = ""
    remote_zone: str = ""
    package: str = ""


@dataclass(frozen=True, slots=True)
class Carrier:
    """Whom to ask.

    Attributes:
        key: (partner, agreement) of who is asked to run it; ("", "") for our own platform manager.
        system: a partner's orchestrator, which does it all (option 5); else `manager` does.
        vim: holds the resources; None where nobody can be asked to.
        zone, vim_zone: the part's zone as the manager, and as the infrastructure, calls it.
        takes_image: the infrastructure is handed the image, since it is a partner's.
        takes_package: the manager is handed the package, since it is a partner's.
        container: of the packages that a partner is handed, below the agreement.
        held: lists below the agreement in which a partner may hold something of the part.
    """

    key: tuple[str, str] = ("", "")
    system: Mx3 | None = None
    manager: Mm3 | None = None
    vim: Mm4 | None = None
    zone: str = ""
    vim_zone: str = ""
    takes_image: bool = False
    takes_package: bool = False
    container: str = ""
    held: tuple[str, ...] = ()

    @property
    def managed(self) -> Mm3:
        """The platform manager.  Raises `RpcError`: there is none (a broker)."""
        if self.manager is None:
            raise RpcError("operation-failed", "this domain has no platform manager of its own")
        return self.manager

    @property
    def follower(self) -> Mx3 | Mm3:
        """Who starts, stops, ends the part, and tells of it."""
        return self.system if self.system is not None else self.managed


_INSTANCE = "mec-resource:resources/compute-instance"
_APPLICATION = "mec-platform:platform/application"


class Carriers:
    """Finds them.

    Args:
        manager: the domain's own platform manager; None where there is none (a broker).
        vim_of: the infrastructure manager of a zone of one's own.
    """

    def __init__(self, manager: Mm3 | None, vim_of: Callable[[str], Mm4], partners: Partners) -> None:
        self._manager = manager
        self._vim_of = vim_of
        self._partners = partners

    def option(self, part: Part) -> int:
        """Number of the boundary option under which a part is carried out; 0: it is one's own."""
        return self._partners.option(part.partner, part.agreement) if part.partner else 0

    def of(self, part: Part) -> Carrier:
        """Who carries a part out.  Raises `RpcError`: data-missing (no such zone, or no such agreement any more)."""
        if not part.partner:
            return Carrier(manager=self._manager, vim=self._vim_of(part.zone), zone=part.zone, vim_zone=part.zone)
        return self.at(part.partner, part.agreement, part.zone, part.remote_zone)

    def at(self, partner: str, agreement: str, zone: str = "", remote_zone: str = "") -> Carrier:
        """Who carries out what is in a partner's zone.  Raises `RpcError`: data-missing."""
        key, point = (partner, agreement), self._partners.point
        match self._partners.option(*key):
            case 1:
                return Carrier(
                    manager=self._manager,
                    vim=point(Mm4, *key),
                    zone=zone,
                    vim_zone=remote_zone,
                    takes_image=True,
                    held=(_INSTANCE, "mec-resource:resources/reservation"),
                )
            case 2:
                vim = self._vim_of(remote_zone) if remote_zone else None
                return Carrier(manager=self._manager, vim=vim, zone=zone, vim_zone=remote_zone, held=(_APPLICATION,))
            case 3:
                return Carrier(manager=self._manager, zone=zone, held=(_APPLICATION, _INSTANCE))
            case 4:
                container = "mec-platform-manager:platform-manager"
                return Carrier(
                    key=key,
                    manager=point(Mm3, *key),
                    vim=point(Mm4, *key),
                    zone=remote_zone,
                    vim_zone=remote_zone,
                    takes_image=True,
                    takes_package=True,
                    container=container,
                    held=(f"{container}/app-instance", "mec-resource:resources/reservation"),
                )
            case _:
                container = "mec-system:system"
                held = (f"{container}/deployment",)
                return Carrier(key=key, system=point(Mx3, *key), container=container, held=held)
