"""What a block has in force at a driver: put there, taken away again, and compared with what the driver has.

`InForce` belongs to one block and one driver; what is asked of it stands under the name of whoever asks (an
application, a partner's rule).  It remembers what was put, so that a repetition costs nothing and what could not be
taken away is not forgotten; the comparison (`nms.mec.below`) tells it what the driver has lost.  It must not know what
is put, nor by which driver.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from nms.errors import RpcError
from nms.mec.entry import Entry
from nms.mec.session import Members

T = TypeVar("T")
U = TypeVar("U", contravariant=True)


class Carrier(Protocol[U]):
    """A driver as a block uses it."""

    async def put(self, wanted: U) -> None:
        """Have it in force, in place of what the driver calls the same; again is no error.  Raises `RpcError`."""

    async def take(self, held: U) -> None:
        """Have it in force no more; what is not there is no error.  Raises `RpcError`."""

    def entry(self, wanted: U) -> Entry | None:
        """What the driver calls it when it lists what it has; None: it is another driver's."""

    def members(self, wanted: U) -> Members:
        """How the driver shows it then."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What should be at the driver.

    Attributes:
        known: it was put there, and nothing happens to it now.
        turn: changes with everything that happens to it.
    """

    members: Members
    known: bool
    turn: int


class InForce(Generic[T]):
    """Of one block at one driver; in the event loop.

    Args:
        again: has what somebody asks for aligned, as after a change.
        tell: told that something is not at the driver any more (with the error), or is there again (None).
    """

    def __init__(
        self,
        carrier: Carrier[T],
        again: Callable[[str], Awaitable[None]],
        tell: Callable[[str, str, RpcError | None], None],
    ) -> None:
        self._carrier = carrier
        self._again = again
        self._tell = tell
        self._wanted: dict[str, Mapping[str, T]] = {}
        self._held: dict[str, dict[str, T]] = {}
        self._times: Counter[Entry] = Counter()
        self._lost: set[tuple[str, str]] = set()
        self._errors: dict[tuple[str, str], RpcError] = {}
        self._busy: set[str] = set()
        self._turn = 0
        self._turns: dict[str, int] = {}

    def held(self, who: str) -> Mapping[str, T]:
        """What somebody has in force, by name."""
        return dict(self._held.get(who, {}))

    def errors(self, who: str) -> Sequence[RpcError]:
        """What is wrong with what somebody asks for."""
        return [error for (each, _), error in self._errors.items() if each == who]

    async def align(self, who: str, wanted: Mapping[str, T]) -> dict[str, RpcError | None]:
        """Take away what is in force and not wanted, then put the rest; one call at a time for each who asks.

        Returns:
            name -> what went wrong with it; None: nothing.
        """
        held = self._held.setdefault(who, {})
        self._wanted[who] = wanted
        self._busy.add(who)
        outcome: dict[str, RpcError | None] = {}
        try:
            for name in [*(each for each in held if each not in wanted), *wanted]:
                outcome[name] = await self._align(held, (who, name), wanted.get(name))
        finally:
            self._turn += 1
            self._turns[who] = self._turn
            self._busy.discard(who)
            for key in [key for key in self._errors if key[0] == who and key[1] not in (wanted.keys() | held.keys())]:
                self._forget(key)
            if not held and not wanted:
                for of_all in (self._held, self._wanted, self._turns):
                    of_all.pop(who, None)
        return outcome

    async def _align(self, held: dict[str, T], key: tuple[str, str], wanted: T | None) -> RpcError | None:
        name = key[1]
        try:
            before = held.get(name)
            if before is not None and (wanted is None or self._carrier.entry(before) != self._carrier.entry(wanted)):
                await self._take(before)
                del held[name]
            if wanted is not None and (held.get(name) != wanted or key in self._lost):
                await self._carrier.put(wanted)
                if name not in held and (entry := self._carrier.entry(wanted)) is not None:
                    self._times[entry] += 1
                held[name] = wanted
        except RpcError as error:
            self._errors[key] = error
            return error
        self._forget(key)
        return None

    async def _take(self, held: T) -> None:
        """What is wanted under another name as well stays."""
        entry = self._carrier.entry(held)
        if entry is not None and self._times[entry] > 1:
            self._times[entry] -= 1
            return
        await self._carrier.take(held)
        if entry is not None:
            del self._times[entry]

    def _forget(self, key: tuple[str, str]) -> None:
        self._lost.discard(key)
        self._errors.pop(key, None)

    # -- compared with what the driver has

    def kept(self) -> Mapping[Entry, Kept]:
        """What should be there."""
        return {
            entry: Kept(self._carrier.members(each), self._held[key[0]].get(key[1]) == each, self._turns.get(key[0], 0))
            for entry, key, each in self._entries()
            if key[0] not in self._busy
        }

    def _entries(self) -> Iterator[tuple[Entry, tuple[str, str], T]]:
        for who, wanted in self._wanted.items():
            for name, each in wanted.items():
                if (entry := self._carrier.entry(each)) is not None:
                    yield entry, (who, name), each

    def turn(self) -> int | None:
        """Changes with everything that happens; None while something does."""
        return None if self._busy else self._turn

    async def resume(self) -> None:
        """Take away what could not be taken away before."""
        for who in [who for who, held in self._held.items() if held.keys() - self._wanted[who].keys()]:
            await self._again(who)

    def notice(self, seen: Mapping[Entry, bool]) -> None:
        """These are at the driver, or are not; of others nothing is known."""
        for entry, key, _ in list(self._entries()):
            if entry in seen:
                self.hear(*key, lost=not seen[entry])

    def hear(self, who: str, name: str, *, lost: bool) -> None:
        """The driver has not got something any more that is in force, or has it again."""
        key = who, name
        if lost and key not in self._lost:
            self._lost.add(key)
            self._errors[key] = RpcError("data-missing", f"{name} was removed by somebody else")
            self._tell(*key, self._errors[key])
        elif not lost and key in self._lost:
            self._forget(key)
            self._tell(*key, None)

    async def renew(self, entries: Collection[Entry]) -> None:
        """Put them there again.  Raises `RpcError`: one of them is not."""
        renewed = [key for entry, key, _ in self._entries() if entry in entries]
        self._lost.update(renewed)
        for who in dict.fromkeys(who for who, _ in renewed):
            await self._again(who)
        for key in renewed:
            if key in self._errors:
                raise self._errors[key]
