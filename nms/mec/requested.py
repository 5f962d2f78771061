"""Slices of partners' infrastructure that this domain asks for, with a manager of their own where it wants one.

The consumer's side of `nms.mec.slices` (Table 3 of the paper, options 1 and 3): what stands at an agreement is asked
for over Mm4, or Mm6 where only that ends at the partner, as soon as the agreement is active, and given back when it
stands there no more.  Until the partner has made it, nothing else is asked for (`nms.federation.zones`): what is there
already cannot move into it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

from nms.datastore.transaction import Transaction
from nms.errors import RpcError, RpcErrors
from nms.mec.occurrence import TEMPORARY, plain
from nms.mec.partners import Partners
from nms.mec.publisher import Publisher
from nms.mec.reference_points import Mm4, Mm6
from nms.mec.scope import agreement_path
from nms.mec.session import Members, members_at
from nms.mec.windows import AGREEMENT, RESOURCES
from nms.mec.zones import OWN
from nms.model import tree
from nms.model.diff import Change
from nms.model.path import parse_path

_log = logging.getLogger(__name__)

REQUESTED: Final = "mec-resource:requested-slice"
#: Boundary option -> the point over which the infrastructure is asked.
_POINTS: Final[dict[int, type[Mm4 | Mm6]]] = {1: Mm4, 3: Mm6}
_SLICE: Final = f"{RESOURCES.container}/slice"
#: Seconds until what has not come about is tried again, and until what has come about is looked at again.
PAUSE: Final = 1.0
LOOK: Final = 5.0

Key = tuple[str, str]


def at_partner(agreement: Members) -> list[tuple[str, str]]:
    """(list below the agreement, identifier) of what is at the partner because of an agreement's own terms.

    Args:
        agreement: its entry, configuration.
    """
    return [(_SLICE, agreement["id"])] if REQUESTED in agreement else []


class Requested:
    """Asks for them.  A provider of the container requested-slice."""

    def __init__(self, publisher: Publisher, partners: Partners) -> None:
        self._publisher = publisher
        self._partners = partners
        self._loop = asyncio.get_running_loop()
        self._stale = asyncio.Event()
        self._attending: dict[Key, asyncio.Task[None]] = {}
        #: What a partner has refused: the same is not asked for again.
        self._refused: dict[Key, Members] = {}
        self.paths: tuple[str, ...] = (f"{AGREEMENT}/{REQUESTED}",)
        self.provider = self

    async def start(self) -> None:
        """Ask, and follow."""
        self._keeping = self._loop.create_task(self._keep())

    async def close(self) -> None:
        """Stop; what was asked for stays."""
        tasks = [self._keeping, *self._attending.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- what a commit may ask

    def prepare(self, changes: Sequence[Change], tx: Transaction) -> None:
        """A slice stays as it is while something is in it.  Raises `RpcError`: in-use."""
        for key in self._partners.agreements():
            agreement = parse_path(self._publisher.schema, agreement_path(*key))
            where = f"{agreement_path(*key)}/{REQUESTED}"
            path = parse_path(self._publisher.schema, where)
            before, after = members_at(tx.old, path), members_at(tx.new, path)
            if before is None or before == after or tree.get(tx.new, agreement) is None:
                continue
            held = {name for name, _ in self._partners.held(*key)} - {_SLICE}
            inside = sorted(name.rpartition("/")[2] for name in held if name.startswith(RESOURCES.container))
            if inside:
                raise RpcError("in-use", f"the slice still has {', '.join(inside)}", path=where)

    def abort(self, tx: Transaction) -> None:
        """Nothing was reserved."""

    def apply(self, changes: Sequence[Change], tx: Transaction) -> None:
        """Have it asked for."""
        self._loop.call_soon_threadsafe(self._changed)

    # -- what follows

    def _changed(self) -> None:
        self._stale.set()
        self._stale = asyncio.Event()

    async def _keep(self) -> None:
        """Attend to each agreement by itself: a partner that keeps us waiting keeps no other."""
        while True:
            for key in self._partners.agreements():
                if key not in self._attending:
                    self._attending[key] = self._loop.create_task(self._attend(key))
                    self._attending[key].add_done_callback(partial(self._left, key))
            await _passed(self._stale, PAUSE)

    def _left(self, key: Key, task: asyncio.Task[None]) -> None:
        del self._attending[key]

    async def _attend(self, key: Key) -> None:
        """Bring about what is wished, as long as there is the agreement."""
        while key in self._partners.agreements():
            stale = self._stale
            try:
                settled = await self._bring_about(key)
            except (RpcError, RpcErrors) as error:
                _log.info("slice of agreement %s with %s: %s", key[1], key[0], error)
                settled = False
            except Exception:  # noqa: BLE001 - what one partner sends must not end the upkeep of its agreement
                _log.exception("slice of agreement %s with %s", key[1], key[0])
                settled = False
            await _passed(stale, LOOK if settled else PAUSE)

    async def _bring_about(self, key: Key) -> bool:
        """Have a partner's slice as it is wished; whether there is nothing left to do."""
        kind, path = _POINTS.get(self._partners.option(*key)), agreement_path(*key)
        agreement = self._publisher.read(path) or {}
        if kind is None or plain(agreement.get("state", {}).get("federation-state", "")) != "active":
            return REQUESTED not in agreement
        wish = self._publisher.read(f"{path}/{REQUESTED}", config=True)
        if wish is not None:
            return await self._ask(key, self._partners.point(kind, *key), wish)
        self._refused.pop(key, None)
        if (_SLICE, key[1]) not in self._partners.held(*key):
            return True
        await self._partners.point(kind, *key).remove_slice(key[1])
        return False  # until it is seen to be gone

    async def _ask(self, key: Key, point: Mm4 | Mm6, wish: Members) -> bool:
        if self._refused.get(key) == wish:
            return True
        shown, name = f"{agreement_path(*key)}/{REQUESTED}/state", key[1]
        there = await point.slice(name)
        try:
            if there is not None and {leaf: there[leaf] for leaf in there if leaf not in ("id", "state")} != wish:
                await point.remove_slice(name)
                there = None
            if there is None:
                self._publisher.state(shown, {"state": "mec-types:building"})
                await point.add_slice(name, wish)
                there = await point.slice(name)
        except RpcError as error:
            if error.type == "transport" or error.app_tag == TEMPORARY:
                raise
            self._refused[key] = wish
            failure = {"error-tag": error.tag, "detail": error.message}
            self._publisher.state(shown, {"state": "mec-types:down", "error": failure})
            self._alarm(key, error.message)
            await point.remove_slice(name)
            return True
        state = (there or {}).get("state", {})
        if self._publisher.read(shown) != state:
            self._publisher.state(shown, state)
        serves = plain(state.get("state", "")) == "active"
        self._alarm(key, "it is there" if serves else "its manager does not serve", cleared=serves)
        return True

    def _alarm(self, key: Key, why: str, *, cleared: bool = False) -> None:
        text = f"the slice that is asked for under agreement {key[1]} with {key[0]}: {why}"
        self._publisher.alarm(OWN, "/".join(key), "infrastructure-alarm", "major", text, cleared=cleared)


async def _passed(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, so long at most."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
