"""What every VIM driver does alike (`nms.drivers.api.Vim`): one suite, run against each of them.

A driver's test module has a class of its own that inherits `VimContract`, and a fixture `bench` that says how such a
VIM is made.  Every bench has two hosts of the same size, in the zones z1 and z2.
"""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nms.drivers.api import Instance, InstanceSpec, Resources, RpcError, Vim
from tests.drivers.netns_site import CONSOLE, inside

#: What an ordinary instance asks for, and one of which two fit on a host.
SMALL, WIDE = Resources(1000, 64, 16), Resources(3000, 64, 16)
#: Of each host.
CPU, MEMORY, STORAGE = 8, 4096, 40960
HOSTS = [{"name": f"h{n}", "zone": f"z{n}", "cpu": CPU, "memory": MEMORY, "storage": STORAGE} for n in (1, 2)]
#: Seconds until a change that the infrastructure makes of its own accord must have been reported.
NOTICED = 30.0


def archive(path: Path, script: str) -> Path:
    """An image that holds an application of one file."""
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo("app.py")
        member.size = len(script)
        tar.addfile(member, io.BytesIO(script.encode()))
    return path


class Bench:
    """A VIM to be tested.

    Args:
        make: a driver on the same state folder, as at each start of a daemon.

    Attributes:
        isolates: whether slices cannot reach each other.
    """

    def __init__(self, folder: Path, make: Callable[[], Vim], isolates: bool) -> None:
        self.folder, self.make, self.isolates = folder, make, isolates
        self.reported: list[Instance] = []

    def spec(self, name: str, script: str = CONSOLE, **changes: Any) -> InstanceSpec:
        image = archive(self.folder / f"{name}.tar", script)
        return replace(InstanceSpec(name, image, ("python3", "app.py"), SMALL, port=8080), **changes)

    def run(self, story: Callable[[Vim], Awaitable[None]]) -> None:
        """Run a story with an open VIM; afterwards nothing may be taken any more."""

        async def whole() -> None:
            vim = self.make()
            await vim.open(self.reported.append)
            try:
                try:
                    await story(vim)
                finally:
                    for each in await vim.list():
                        await vim.delete(each.id, grace=0)
                assert (await vim.capacity()).used == Resources()
            finally:
                await vim.close()

        asyncio.run(whole())

    async def told(self, count: int) -> None:
        """Wait until so many changes have been reported."""
        async with asyncio.timeout(NOTICED):
            while len(self.reported) < count:  # noqa: ASYNC110 (the driver calls back, and sets no event)
                await asyncio.sleep(0.05)


class VimContract:
    """The suite."""

    def test_an_instance_lives_and_every_call_can_be_repeated(self, bench: Bench) -> None:
        async def story(vim: Vim) -> None:
            spec = bench.spec("a", zone="z2", environment={"GREETING": 'it\'s "here" $HOME'})
            allocated = await vim.allocate(spec)
            assert (allocated.id, allocated.state, allocated.zone) == ("a", "allocated", "z2")
            assert SMALL.fits((await vim.capacity()).used)
            started = await vim.start(spec)
            assert started == replace(allocated, state="started")
            assert await vim.start(spec) == started == await vim.allocate(spec) == await vim.status("a")
            assert await vim.list() == [started]
            assert await inside(started, "print(os.environ['GREETING'])") == 'it\'s "here" $HOME'
            assert await inside(started, "print(os.environ['MEC_ZONE'], os.environ['MEC_APP_INSTANCE_ID'])") == "z2 a"
            await inside(started, "open('kept', 'w').write('yes')")
            measured = await vim.kpis("a")
            assert measured.memory > 1 << 20
            assert measured.processes == 1

            stopped = await vim.stop("a")
            assert stopped == replace(allocated, state="stopped") == await vim.stop("a")
            assert (await vim.kpis("a")).processes == 0
            assert SMALL.fits((await vim.capacity()).used)
            assert await vim.start(spec) == started
            assert await inside(started, "print(open('kept').read())") == "yes"  # as a machine finds its disk
            await vim.delete("a")
            await vim.delete("a")
            assert await vim.list() == []

        bench.run(story)
        assert bench.reported == []

    def test_an_id_stands_for_one_thing_only(self, bench: Bench) -> None:
        async def story(vim: Vim) -> None:
            await vim.allocate(bench.spec("a"))
            with pytest.raises(RpcError) as refused:
                await vim.start(bench.spec("a", port=9090))
            assert refused.value.tag == "data-exists"
            for missing in (vim.status, vim.stop, vim.kpis):
                with pytest.raises(RpcError) as absent:
                    await missing("b")
                assert (absent.value.tag, absent.value.status) == ("data-missing", 404)

        bench.run(story)

    def test_what_cannot_be_allocated_is_refused_and_takes_nothing(self, bench: Bench) -> None:
        cases: list[tuple[dict[str, Any], str]] = [
            ({"id": "../evil"}, "invalid-value"),
            ({"id": "x" * 200}, "invalid-value"),
            ({"command": ("a\0b",)}, "invalid-value"),
            ({"environment": {"A=B": "c"}}, "invalid-value"),
            ({"port": 70000}, "invalid-value"),
            ({"host": "h9"}, "invalid-value"),
            ({"zone": "z9"}, "invalid-value"),
            ({"resources": Resources(-1, 0, 0)}, "invalid-value"),
            ({"resources": Resources(1000 * CPU + 1000, 0, 0)}, "resource-denied"),
            ({"zone": "z1", "resources": Resources(0, MEMORY + 1, 0)}, "resource-denied"),
        ]

        async def story(vim: Vim) -> None:
            for changes, tag in cases:
                with pytest.raises(RpcError) as refused:
                    await vim.allocate(replace(bench.spec("a"), **changes))
                assert refused.value.tag == tag, changes
                assert "\n" not in refused.value.message
                assert await vim.list() == []
            assert (await vim.capacity()).used == Resources()

        bench.run(story)

    def test_a_race_for_the_last_room_overdraws_nothing(self, bench: Bench) -> None:
        async def story(vim: Vim) -> None:
            specs = [bench.spec(f"i{number}", resources=WIDE) for number in range(6)]
            outcomes = await asyncio.gather(*map(vim.allocate, specs), return_exceptions=True)
            granted = [each for each in outcomes if isinstance(each, Instance)]
            refused = [each.tag for each in outcomes if isinstance(each, RpcError)]
            assert (len(granted), refused) == (4, ["resource-denied"] * 2)
            assert len({each.address for each in granted}) == 4
            for host in await vim.hosts():
                assert host.capacity.total.millicpu - host.capacity.used.millicpu == 2000
            await vim.delete(granted[0].id)
            await vim.allocate(bench.spec("late", resources=WIDE))

        bench.run(story)

    def test_a_start_that_fails_says_why_and_can_be_tried_again(self, bench: Bench) -> None:
        async def story(vim: Vim) -> None:
            broken = bench.spec("a", "import sys; print('no licence'); sys.exit(3)")
            with pytest.raises(RpcError, match="no licence"):
                await vim.start(broken)
            instance = await vim.status("a")
            assert instance.state == "failed"
            assert "no licence" in instance.reason
            assert (await vim.kpis("a")).processes == 0
            with pytest.raises(RpcError, match="no licence"):
                await vim.start(broken)
            await vim.delete("a")
            assert (await vim.start(bench.spec("a"))).reason == ""

        bench.run(story)

    def test_a_cancelled_start_leaves_nothing_that_runs(self, bench: Bench) -> None:
        async def story(vim: Vim) -> None:
            spec = bench.spec("a", "import time; time.sleep(600)")
            starting = asyncio.create_task(vim.start(spec))
            async with asyncio.timeout(NOTICED):
                while not any(each.state == "starting" for each in await vim.list()):  # noqa: ASYNC110 (no event)
                    await asyncio.sleep(0.01)
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting
            assert (await vim.status("a")).state == "failed"
            assert (await vim.kpis("a")).processes == 0

        bench.run(story)

    def test_an_application_that_ends_is_reported_with_its_last_words(self, bench: Bench) -> None:
        async def story(vim: Vim) -> None:
            spec = bench.spec("a")
            instance = await vim.start(spec)
            await inside(instance, "os.write(1, b'out of luck'); os._exit(7)")
            await bench.told(1)
            assert bench.reported == [await vim.status("a")]
            assert bench.reported[0].state == "failed"
            assert "it ended by itself" in bench.reported[0].reason
            assert "out of luck" in bench.reported[0].reason
            assert (await vim.start(spec)).state == "started"

        bench.run(story)

    def test_a_restart_finds_everything_again(self, bench: Bench) -> None:
        async def story(first: Vim) -> None:
            specs = {name: bench.spec(name, slice="partner") for name in ("a", "b")}
            a, b = await first.start(specs["a"]), await first.allocate(specs["b"])
            used = (await first.capacity()).used
            await first.close()
            vim = bench.make()
            await vim.open(bench.reported.append)
            assert await vim.list() == [a, b]
            assert (await vim.capacity()).used == used
            assert await vim.start(specs["a"]) == a
            assert await inside(a, "print('alive')") == "alive"
            for name in specs:
                await vim.delete(name)
            await vim.close()
            await first.open(bench.reported.append)
            assert await first.list() == []

        bench.run(story)
        assert bench.reported == []

    def test_slices_cannot_reach_each_other(self, bench: Bench) -> None:
        if not bench.isolates:
            return

        async def story(vim: Vim) -> None:
            share = {"a1": "partner-a", "a2": "partner-a", "b": "partner-b"}
            every = [await vim.start(bench.spec(name, slice=partner)) for name, partner in share.items()]
            reached = set()
            for here in every:
                for there in every:
                    ask = f"print(connects({there.address!r}, 8080))"
                    if here is not there and await inside(here, ask) == "True":
                        reached.add((here.id, there.id))
            assert reached == {("a1", "a2"), ("a2", "a1")}

        bench.run(story)
