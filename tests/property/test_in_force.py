"""Whatever is asked of a driver, refused or lost by it: in the end it has what is wanted, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from nms.errors import RpcError
from nms.mec.below import HeldSide
from nms.mec.entry import Entry
from nms.mec.in_force import InForce
from nms.mec.session import Members

#: What is wanted is a thing and how it is; two names may want the same thing.
Thing = tuple[str, int]
WISHES = st.dictionaries(st.sampled_from("pqr"), st.tuples(st.sampled_from("xyz"), st.just(1)), max_size=3)
STEPS = st.one_of(
    st.tuples(st.just("want"), st.sampled_from("ab"), WISHES),
    st.tuples(st.just("lose"), st.sampled_from("xyz")),
    st.tuples(st.just("alter"), st.sampled_from("xyz")),
    st.tuples(st.just("stray"), st.sampled_from("stu")),
    st.tuples(st.just("refuse"), st.booleans()),
    st.tuples(st.just("compare")),
    st.tuples(st.just("repair")),
)


@dataclass
class Driver:
    """A driver, as a carrier and as a listing, that refuses when told to."""

    has: dict[str, int] = field(default_factory=dict)
    refuses: bool = False

    async def put(self, wanted: Thing) -> None:
        await self._work()
        self.has[wanted[0]] = wanted[1]

    async def take(self, held: Thing) -> None:
        await self.remove(self.entry(held))

    async def remove(self, entry: Entry) -> None:
        await self._work()
        self.has.pop(entry[1], None)

    def entry(self, wanted: Thing) -> Entry:
        return "thing", wanted[0]

    def members(self, wanted: Thing) -> Members:
        return {"how": wanted[1]}

    async def listed(self) -> Mapping[Entry, Members]:
        await asyncio.sleep(0)
        return {("thing", name): {"how": how} for name, how in self.has.items()}

    async def _work(self) -> None:
        await asyncio.sleep(0)
        if self.refuses:
            raise RpcError("operation-failed", "not now")


@given(st.lists(STEPS, max_size=12))
def test_in_the_end_the_driver_has_what_is_wanted(steps: list[tuple[object, ...]]) -> None:
    async def story() -> None:
        driver = Driver()
        wishes: dict[str, Mapping[str, Thing]] = {}
        meddled = False
        wrong: dict[tuple[str, str], RpcError | None] = {}

        async def again(who: str) -> None:
            for name, error in (await block.align(who, wishes[who])).items():
                tell(who, name, error)

        def tell(who: str, name: str, error: RpcError | None) -> None:
            wrong[who, name] = error

        block: InForce[Thing] = InForce(driver, again, tell)
        side = HeldSide("", "driver", driver, [block])

        async def compare(*, repair: bool) -> bool:
            found = await side.compare()
            assert found is not None
            if repair:
                try:
                    await side.repair(found)
                except RpcError:
                    assert driver.refuses
            for who, wanted in wishes.items():
                # What was told last is so.
                said = [error for name in wanted if (error := wrong.get((who, name))) is not None]
                assert set(said) <= set(block.errors(who))
            return bool(found)

        def wanted_things() -> dict[str, int]:
            return {thing: how for wanted in wishes.values() for thing, how in wanted.values()}

        for step in steps:
            meddled |= step[0] in ("lose", "alter", "stray", "refuse")
            match step:
                case ("want", str(who), dict(wanted)):
                    wishes[who] = wanted
                    await again(who)
                    assert not block.errors(who) or driver.refuses
                    assert driver.has == wanted_things() or meddled
                case ("lose", str(name)):
                    driver.has.pop(name, None)
                case ("alter", str(name)):
                    if name in driver.has:
                        driver.has[name] = 7
                case ("stray", str(name)):
                    driver.has[name] = 1
                case ("refuse", bool(refuses)):
                    driver.refuses = refuses
                case (what,):
                    await compare(repair=what == "repair")
        driver.refuses = False
        await compare(repair=True)
        for who in wishes:
            await again(who)
        assert not await compare(repair=False)
        assert driver.has == wanted_things()
        assert not any(block.errors(who) for who in wishes)
        assert all(block.held(who) == wanted for who, wanted in wishes.items())

    asyncio.run(story())
