"""Which data plane carries an application's traffic: our own, or a partner's over Mp2 (options 1 and 2).

To the platform each is a driver.  It must not know rules.
"""

from __future__ import annotations

from nms.drivers import api
from nms.errors import RpcError
from nms.mec.mepm import MANAGERS
from nms.mec.partners import Partners
from nms.mec.places import Places
from nms.mec.publisher import Publisher
from nms.mec.steering import RemotePlane
from nms.mec.supervision import INSTANCE
from nms.mec.tenancy import Tenancy


class Planes:
    """Finds it.

    Attributes:
        tenancy: of partners at the platform; None while there is none.
    """

    def __init__(self, publisher: Publisher, own: api.DataPlane, places: Places, partners: Partners) -> None:
        self._publisher = publisher
        self._own = own
        self._places = places
        self._partners = partners
        self.tenancy: Tenancy | None = None

    def of(self, application: str) -> api.DataPlane:
        """The data plane that carries the traffic of an application, by the platform's identifier of it."""
        owner = self.tenancy.owner("application", application) if self.tenancy is not None else None
        if owner is not None:
            scope, _ = owner
            if self._partners.option(scope.partner, scope.agreement) == 2:
                return RemotePlane(self._partners, (scope.partner, scope.agreement))
            return self._own
        for manager in self._publisher.scopes(MANAGERS):
            instance = self._publisher.read(f"{manager.base}/{INSTANCE}[id='{application}']")
            if instance is not None:
                try:
                    steered = self._places.of(instance.get("zone", "")).steered
                except RpcError:  # the agreement that brought the zone is gone
                    return self._own
                return self._own if steered is None else RemotePlane(self._partners, steered)
        return self._own
