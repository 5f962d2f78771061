"""What becomes of a platform's rules in partners' data planes (Mp2; options 1 and 2), as their owners tell it.

It listens under every agreement that steers, and looks when something may not have been heard; the platform then shows
such a rule as it shows one that its own driver has lost.  It must not know how a rule comes about.
"""

from __future__ import annotations

import contextlib
from functools import partial

from nms.errors import RpcError
from nms.mec.attention import Attention
from nms.mec.driven import Steered
from nms.mec.entry import RULE
from nms.mec.in_force import InForce
from nms.mec.occurrence import plain
from nms.mec.partners import Partners
from nms.mec.reference_points import Mp2
from nms.mec.session import RESYNC, Members
from nms.mec.steering import RemotePlane
from nms.mec.vim import CHANGED

Key = tuple[str, str]
_RULE = RULE.rpartition("/")[2]


class FarRules:
    """Of one platform.

    Args:
        traffic: all rules that it has in force, by application.
    """

    def __init__(self, partners: Partners, traffic: InForce[Steered]) -> None:
        self._partners = partners
        self._traffic = traffic
        self._attention = Attention()
        self._heard: set[Key] = set()

    async def close(self) -> None:
        """Listen no more."""
        await self._attention.close()

    def refresh(self) -> None:
        """Agreements may have come or gone.  Called in the event loop."""
        steered = set(self._partners.steered())
        for key in self._heard | steered:
            point = self._partners.point(Mp2, *key) if key in steered else None
            self._attention.listen(key, point, partial(self._told, key))
        self._heard = steered

    def _told(self, key: Key, name: str, members: Members) -> None:
        if name == RESYNC:
            self._attention.spawn(self._look(key))
        elif name == CHANGED and members.get("resource-type") == _RULE:
            instance, _, rule = str(members.get("resource", "")).partition("/")
            self._hear(key, instance, rule, str(members.get("state", "")))

    async def _look(self, key: Key) -> None:
        with contextlib.suppress(RpcError):  # it does not answer: nothing is known
            for entry in await self._partners.point(Mp2, *key).rules():
                self._hear(key, entry["instance"], entry["id"], str(entry.get("state", {}).get("state", "")))

    def _hear(self, key: Key, instance: str, rule: str, state: str) -> None:
        """Nobody speaks of another one's rules."""
        _, plane = self._traffic.held(instance).get(rule, (None, None))
        if isinstance(plane, RemotePlane) and plane.key == key:
            self._traffic.hear(instance, rule, lost=plain(state) != "active")
