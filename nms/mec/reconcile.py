"""Drift: what is configured here, compared now and then with what is really there, and made the same again.

A `Side` is whoever carries intents out: a partner under an agreement, or a driver below an infrastructure manager.  For
each entry three things are asked: is it intended here, does the side show it, was it agreed (known to be there)?

    intended  shown  agreed
       yes     yes   the same    as it should be
       yes     yes   otherwise   differs: it was changed behind our back, or the side was restored from a backup
       yes     no    yes         missing: it was removed behind our back, or the side was restored from a backup
       yes     no    no          not made yet, or it failed: its occurrence tells
       no      yes   -           extra: nobody here asks for it (any more)

What is done about it is the policy of each side (report, repair, adopt); whatever is found stands in its state, with an
alarm until nothing is left to be decided.  It must not know what an entry is, nor how a side is asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import orjson

from nms.errors import RpcError, RpcErrors
from nms.mec.entry import Entry
from nms.mec.publisher import Publisher
from nms.mec.session import Members
from nms.mec.zones import OWN

_log = logging.getLogger(__name__)

ALARM = "drift-alarm"
INTERVAL = 60
#: Seconds between two looks at whether a comparison is due.
TICK = 1.0


#: Name of a member -> (as it was agreed, as it is shown); None where it is not there.
Changes = Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference; `intended` and `shown` tell which of the three kinds it is.

    Attributes:
        known: it was agreed, or known to be there.
        changes: of an entry that is both intended and shown.
    """

    entry: Entry
    intended: bool
    shown: bool
    known: bool
    changes: Changes = field(default_factory=dict)


def differences(
    intended: Mapping[Entry, bool], shown: Mapping[Entry, Members], agreed: Mapping[Entry, Members]
) -> list[Difference]:
    """The three-way difference, in order.

    Args:
        intended: entry -> whether it was known to be there, and nothing happens to it now.
        shown: with its content.
        agreed: with the content that it had when both sides were of one mind.
    """
    missing = [Difference(entry, True, False, True) for entry, was in intended.items() if was and entry not in shown]
    extra = [Difference(entry, False, True, entry in agreed) for entry in shown if entry not in intended]
    differs = [
        Difference(entry, True, True, True, changes)
        for entry, was in intended.items()
        if was and entry in shown and entry in agreed and (changes := _changes(agreed[entry], shown[entry]))
    ]
    return sorted(missing + extra + differs, key=lambda each: each.entry)


def _changes(agreed: Members, shown: Members) -> Changes:
    """Members that are not the same."""
    names = sorted({*agreed, *shown})
    return {name: (agreed.get(name), shown.get(name)) for name in names if agreed.get(name) != shown.get(name)}


class Side(Protocol):
    """Whoever carries intents out."""

    @property
    def base(self) -> str:
        """Instance-identifier of the entry that holds the container reconciliation."""

    @property
    def name(self) -> str:
        """For the alarm."""

    async def compare(self) -> Sequence[Difference] | None:
        """Ask it; None: there is nothing to compare now.  Raises `RpcError`: it does not answer."""

    async def repair(self, found: Sequence[Difference]) -> None:
        """Make it what is intended; returns when that has begun.  Raises `RpcError`."""

    async def adopt(self, found: Difference) -> str:
        """Intend what it shows; gives why that cannot be, "" if it is done.  Raises `RpcError`."""


class Reconciliation:
    """Of all sides of a domain.

    Args:
        sides: gives those that there are now.
    """

    def __init__(self, publisher: Publisher, sides: Callable[[], Sequence[Side]]) -> None:
        self._publisher = publisher
        self._sides = sides
        self._loop = asyncio.get_running_loop()
        self._asked: dict[str, float] = {}
        self._looking: dict[str, asyncio.Task[bool]] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Compare with each side as soon as it answers, and go on doing so."""
        self._task = self._loop.create_task(self._keep())

    async def close(self) -> None:
        """Compare no more."""
        tasks = [task for task in (self._task, *self._looking.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def now(self, wanted: Callable[[str], bool] = lambda name: True) -> None:
        """Compare at once with the sides whose name is `wanted`.  Any thread."""
        self._loop.call_soon_threadsafe(self._hurry, wanted)

    def _hurry(self, wanted: Callable[[str], bool]) -> None:
        for side in self._sides():
            if wanted(side.name):
                self._asked.pop(side.base, None)
        self._wake.set()

    async def _keep(self) -> None:
        while True:
            sides = {side.base: side for side in self._sides()}
            self._asked = {base: at for base, at in self._asked.items() if base in sides}
            for base, side in sides.items():
                wish = self._publisher.read(f"{base}/reconciliation", config=True) or {}
                at = self._asked.get(base)
                due = at is None or self._loop.time() >= at + wish.get("interval", INTERVAL)
                if due and base not in self._looking:
                    # Each for itself: one that keeps us waiting keeps nobody else.
                    self._asked[base] = self._loop.time()
                    self._looking[base] = self._loop.create_task(self._look(side, wish.get("policy", "report")))
                    self._looking[base].add_done_callback(partial(self._looked, base))
            try:
                async with asyncio.timeout(TICK):
                    await self._wake.wait()
            except TimeoutError:
                continue
            self._wake.clear()

    def _looked(self, base: str, task: asyncio.Task[bool]) -> None:
        del self._looking[base]
        if task.cancelled() or not task.result():
            self._asked.pop(base, None)  # again as soon as it answers

    async def _look(self, side: Side, policy: str) -> bool:
        """Compare with one side; whether it has answered."""
        try:
            found = await side.compare()
            if found is None:
                return True
            await self._settle(side, policy, found)
        except RpcError as error:
            _log.info("%s cannot be compared with now: %s", side.name, error)
            return False
        except Exception:  # noqa: BLE001 - one side's trouble must not end the comparison with the others
            _log.exception("comparing with %s", side.name)
        return True

    async def _settle(self, side: Side, policy: str, found: Sequence[Difference]) -> None:
        path = f"{side.base}/reconciliation/state"
        held = (self._publisher.read(path) or {}).get("finding", ())
        since = {(each["kind"], each["subject"]): each["since"] for each in held}
        outcome, said = "reported", dict.fromkeys((each.entry for each in found), "")
        if policy == "repair" and found:
            outcome = "repairing"
            try:
                await side.repair(found)
            except (RpcError, RpcErrors) as error:
                outcome, said = "reported", dict.fromkeys(said, f"it cannot be repaired: {error}")
        elif policy == "adopt":
            for each in found:
                try:
                    said[each.entry] = await side.adopt(each)
                except (RpcError, RpcErrors) as error:
                    said[each.entry] = f"it cannot be adopted: {error}"
        rows: list[Members] = []
        for each in found:
            kind, subject = each.entry
            done = "adopted" if policy == "adopt" and not said[each.entry] else outcome
            rows.append(
                {
                    "kind": kind,
                    "subject": subject,
                    "intended": each.intended,
                    "shown": each.shown,
                    "known": each.known,
                    **({"change": _told(each.changes)} if each.changes else {}),
                    "since": since.get(each.entry, self._publisher.now()),
                    "outcome": done,
                    "detail": said[each.entry] or _detail(each, side.name),
                }
            )
        now = self._publisher.now()
        self._publisher.state(path, {"last-run": now, **({"finding": rows} if rows else {})}, durable=False)
        open_ = [row for row in rows if row["outcome"] == "reported"]
        text = "; ".join(row["detail"] for row in open_[:5]) or "what is there is what is configured"
        self._publisher.alarm(OWN, side.name, ALARM, "major", text, cleared=not open_)


def _told(changes: Changes) -> list[Members]:
    """Members of the list change."""
    said = {"agreed": 0, "shown": 1}
    return [
        {"name": name, **{leaf: orjson.dumps(pair[at]).decode() for leaf, at in said.items() if pair[at] is not None}}
        for name, pair in changes.items()
    ]


def _detail(found: Difference, side: str) -> str:
    kind, subject = found.entry
    what = f"{kind.rpartition('/')[2]} {subject}"
    if not found.shown:
        return f"{what} is configured here and was there, but {side} does not show it any more"
    if found.intended:
        return f"{side} shows {what}, but not as it was agreed: {', '.join(found.changes)}"
    return f"{side} shows {what}, which nobody here asks for"
