"""Partners' services in the registry of the own platform, learnt over Mp3 (paper, section 3.2; ETSI GS MEC 011).

What a partner's platform shows stands in the list ``service`` beside what is registered here: in operational only
(RFC 8342 section 5.3), as not local, while the partner shows it.  While the partner does not answer it is suspended;
with the agreement, or what the agreement says of Mp3, it goes.  Consumers are told as of local services.  A partner is
believed as far as `nms.mec.services.unfit` lets it be, and up to a number.  It must not know what the services are.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Final

from nms.errors import RpcError
from nms.mec import services
from nms.mec.listener import Listener
from nms.mec.mep import PLATFORMS, SERVICE_CHANGED
from nms.mec.partners import Partners
from nms.mec.publisher import Publisher
from nms.mec.reference_points import Mp3
from nms.mec.session import RESYNC, Members
from nms.model import json
from nms.model.values import Value
from nms.operations.request import Invoke, Session

_log = logging.getLogger(__name__)

#: Services of one partner under one agreement that the registry takes.
MOST: Final = 1000
#: Seconds after which a partner is asked though it has told nothing; and between two questions however much it tells.
COMPARED: Final = 30.0
PAUSE: Final = 0.2
#: After so many changes the event loop gets its turn.
_TURN: Final = 20

Key = tuple[str, str]


@dataclass(slots=True)
class _Peer:
    """A partner's platform under one agreement.

    Attributes:
        learnt: identifier in our registry -> entry; what the registry shows of it.
        reading: asks it again and again, while it can be used.
        refused, refusal: how many of its services are not let in, and why the first one is not.
    """

    learnt: dict[str, Members] = field(default_factory=dict)
    reading: asyncio.Task[None] | None = None
    refused: int = 0
    refusal: str = ""


class PeerServices:
    """Of one platform.

    Args:
        platform: its identifier.
    """

    def __init__(self, publisher: Publisher, platform: str, partners: Partners) -> None:
        self._publisher = publisher
        self._platform = platform
        self._partners = partners
        self._scope = publisher.scope(f"{PLATFORMS}[id='{platform}']")
        self._loop = asyncio.get_running_loop()
        self._peers: dict[Key, _Peer] = {}
        #: Changes of the registry are made one after the other.
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self.provider = Listener(self.wake)

    async def start(self) -> None:
        """Look whom there is to ask."""
        self.refresh()

    async def close(self) -> None:
        """Ask nobody any more; what is learnt does not outlive the process."""
        tasks = [*self._tasks, *(peer.reading for peer in self._peers.values() if peer.reading is not None)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def refresh(self) -> None:
        """Platforms have been joined or parted, or partners answer again or do not.  Called in the event loop."""
        usable = self._partners.peers()
        for key in dict.fromkeys((*self._peers, *usable)):
            peer = self._peers.setdefault(key, _Peer())
            if usable.get(key):
                if peer.reading is None:
                    peer.reading = self._loop.create_task(self._follow(key, peer))
                continue
            if peer.reading is not None:
                peer.reading.cancel()
                peer.reading = None
            if key not in usable:
                del self._peers[key]
            self._spawn(self._halt(key, peer, gone=key not in usable))

    def wake(self) -> None:
        """As `refresh`; any thread."""
        self._loop.call_soon_threadsafe(self.refresh)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def discover(self, session: Session, invoke: Invoke) -> Value:
        """The action discover-services: what of the registry is as the consumer wants it."""
        wanted, output = invoke.node.children
        asked = json.plain(wanted, invoke.input)
        registered = self._publisher.entries(f"{self._scope.base}/service")
        return json.decode(
            output, {"service": [services.found(each) for each in registered if services.matches(each, asked)]}
        )

    # -- asking

    async def _follow(self, key: Key, peer: _Peer) -> None:
        """Keep what is learnt as the partner shows it."""
        stale = asyncio.Event()
        try:
            point = self._partners.point(Mp3, *key)
        except RpcError:  # parted since: `refresh` follows
            return
        watch = point.watch(lambda name, members: stale.set() if name in (RESYNC, SERVICE_CHANGED) else None)
        try:
            while True:
                stale.clear()
                try:
                    await self._learn(key, peer, await point.services())
                except RpcError as error:
                    # What it shows is no list of services, or it has just gone: then `refresh` follows.
                    _log.warning("services of %s under %s: %s", *key, error)
                    peer.refusal = error.message
                    await self._suspend(key, peer)
                await asyncio.sleep(PAUSE)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(COMPARED):
                        await stale.wait()
        finally:
            watch.close()

    async def _learn(self, key: Key, peer: _Peer, shown: Sequence[Members]) -> None:
        """Have in the registry what the partner shows now."""
        wanted: dict[str, Members] = {}
        peer.refused, peer.refusal = 0, ""
        for service in sorted(shown, key=lambda each: str(each["id"])):
            name = f"{key[0]}.{service['id']}"
            why = services.unfit(service) or self._taken(key, name)
            if not why and len(wanted) == MOST:
                why = f"of one partner {MOST} services are taken"
            if why:
                peer.refused += 1
                peer.refusal = peer.refusal or f"{service['id']}: {why}"
            else:
                wanted[name] = self._entry(key, service)
        await self._show(key, peer, wanted, "active")

    def _taken(self, key: Key, name: str) -> str:
        """Why an identifier cannot be in the registry; "" if it can."""
        if len(name) > 128:
            return "its identifier is too long"
        here = self._publisher.read(f"{self._scope.base}/service[id='{name}']", config=True)
        others = any(name in peer.learnt for other, peer in self._peers.items() if other != key)
        return "" if here is None and not others else "its identifier is taken"

    def _entry(self, key: Key, service: Members) -> Members:
        """A partner's service as an entry of the registry."""
        partner, agreement = key
        zone = {"zone": f"{partner}.{service['zone']}"[:128]} if "zone" in service else {}
        state = {
            "state": f"mec-types:{services.state_of(service)}",
            "is-local": False,
            "partner": partner,
            "agreement": agreement,
            **zone,
        }
        return {
            **services.information(service),
            "state": state | ({"endpoint": service["endpoint"]} if "endpoint" in service else {}),
        }

    # -- the registry

    async def _halt(self, key: Key, peer: _Peer, *, gone: bool) -> None:
        """The partner cannot be asked any more."""
        if not gone:
            await self._suspend(key, peer)
            return
        await self._show(key, peer, {}, "")
        if key not in self._peers:
            self._publisher.state(self._path(key), None, durable=False)

    async def _suspend(self, key: Key, peer: _Peer) -> None:
        """Nobody can say how its services are (ETSI GS MEC 011: SUSPENDED)."""
        halted = {
            name: {**entry, "state": {**entry["state"], "state": "mec-types:suspended"}}
            for name, entry in peer.learnt.items()
        }
        await self._show(key, peer, halted, "suspended")

    async def _show(self, key: Key, peer: _Peer, wanted: dict[str, Members], state: str) -> None:
        """Make the registry show `wanted` of a partner, and tell of each change.

        Args:
            state: of the partner's platform, to be shown; "": nothing is shown of it any more.
        """
        async with self._turn:
            changes = [name for name in peer.learnt if name not in wanted]
            changes += [name for name, entry in wanted.items() if peer.learnt.get(name) != entry]
            for number, name in enumerate(changes, 1):
                self._change(peer, name, wanted.get(name))
                if number % _TURN == 0:
                    await asyncio.sleep(0)
            if state:
                about: Members = {"state": f"mec-types:{state}", "services": len(peer.learnt), "refused": peer.refused}
                if peer.refusal:
                    about["refusal"] = peer.refusal
                if self._publisher.read(self._path(key)) != {"partner": key[0], "agreement": key[1], **about}:
                    self._publisher.state(self._path(key), about, durable=False)

    def _change(self, peer: _Peer, name: str, entry: Members | None) -> None:
        """One service comes, changes or goes."""
        path = f"{self._scope.base}/service[id='{name}']"
        old = peer.learnt.get(name)
        self._publisher.state(path, entry, durable=False)
        told = entry or old or {}
        if entry is None:
            change, state = "removed", "mec-types:inactive"
            peer.learnt.pop(name, None)
        else:
            state = entry["state"]["state"]
            same = old is not None and {**old, "state": {**old["state"], "state": state}} == entry
            change = "added" if old is None else "state-changed" if same else "attributes-changed"
            peer.learnt[name] = entry
        event = {"platform": self._platform, "service": name, "name": told["name"], "is-local": False}
        self._publisher.notify(self._scope, SERVICE_CHANGED, {**event, "change": change, "state": state})

    def _path(self, key: Key) -> str:
        return f"{self._scope.base}/peer[partner='{key[0]}'][agreement='{key[1]}']"
