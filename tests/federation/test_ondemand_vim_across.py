"""A manager of one's own at a partner, on demand: the consumer's agreement asks for it, over either protocol."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nms.commands.partner import agree
from nms.errors import RpcError
from nms.federation import card
from nms.mec.requested import REQUESTED
from nms.mec.session import Members
from tests.federation import test_two_processes as processes
from tests.federation.test_across_the_boundary import deploy, onboard
from tests.federation.test_ondemand_vim import OWN, QUOTA, VIMS
from tests.federation.test_options import Play, crossed
from tests.federation.test_tenancy import OPTIONS
from tests.federation.two_domains import AGREEMENT, Domain, until


async def ask(a: Domain, b: Domain, number: int, wish: Members) -> None:
    """An agreement under which A wants a slice of B's infrastructure."""
    option = {"boundary-option": f"mec-types:{OPTIONS[number]}"}
    await b.add(a.card, "provider", **option)
    await a.add(b.card, "consumer", **option, **{REQUESTED: wish})
    for one, other in ((a, b), (b, a)):
        await until(f"{one.id}'s agreement is active", lambda one=one, other=other: one.state(other.id) == "active")


def asked(a: Domain) -> Members:
    """What A shows of the slice that it has asked for."""
    return a.read(f"/partner[id='b']/agreement[id='{AGREEMENT}']/{REQUESTED}/state")


def lent(b: Domain) -> list[Members]:
    """Entries of the managers that B has instantiated for slices."""
    return [vim for vim in b.publisher.entries(VIMS) if vim["id"] != "vim-1"]


@pytest.mark.parametrize(("number", "protocol"), [(1, "restconf"), (3, "netconf-ssh")], indirect=["protocol"])
def test_the_consumer_has_a_manager_of_its_own_instantiated(play: Play, number: int) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await ask(a, b, number, OWN)
        state = await until("the slice is there", lambda: asked(a).get("state") == "mec-types:active" and asked(a))
        assert (state["manager"]["kind"], state["manager"]["name"]) == ("dedicated", AGREEMENT)
        await onboard(a)
        assert (await deploy(a))["operational-state"] == "mec-types:started"
        (manager,) = lent(b)
        assert len(manager["compute-instance"]) == 1
        assert "compute-instance" not in (b.publisher.read(f"{VIMS}[id='vim-1']") or {})
        (seen,) = a.federation.partners.links["b", AGREEMENT].subtree("mec-resource:resources")["slice"]
        assert seen["id"] == AGREEMENT

        with pytest.raises(RpcError, match="still has") as error:
            await a.change(f"/partner[id='b']/agreement[id='{AGREEMENT}']/{REQUESTED}", "remove")
        assert error.value.tag == "in-use"
        assert len(lent(b)) == 1

        point = {1: "mm4", 3: "mm6"}[number]
        made = crossed(a, b)
        assert {key[:2] for key in made if key[2:] == ("edit", "slice")} == {("b", point)}
        hidden = {manager["id"], manager["slice"][0]["id"], manager["host"][0]["id"], "vim-1"}
        hidden |= {each["id"] for each in manager["compute-instance"]}
        assert [name for name in hidden if name in "".join(a.received)] == []

        assert a.blocks.mm1 is not None
        await asyncio.wait_for(a.blocks.mm1.terminate("web"), 20)
        await asyncio.wait_for(a.blocks.mm1.offboard("hello"), 20)
        assert len(lent(b)) == 1
        await until("the image is given back", lambda: not inside(a))
        await a.change(f"/partner[id='b']/agreement[id='{AGREEMENT}']/{REQUESTED}", "remove")
        await until("the manager is gone", lambda: not lent(b))
        await until("the whole zone is offered again", lambda: room(a) > 1)

    play(story)


def inside(a: Domain) -> list[tuple[str, str]]:
    """What A has in its slice, as far as it knows."""
    return [each for each in a.federation.zones.held("b", AGREEMENT) if not each[0].endswith("/slice")]


def room(a: Domain) -> float:
    """Virtual processors of B's zone as A sees it."""
    zone = a.publisher.read("/mec-system:system/zone[id='b.zone-1']") or {}
    return float(zone.get("total", {}).get("cpu", 0))


def test_what_the_partner_refuses_is_shown_and_can_be_asked_for_again(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await ask(a, b, 1, {**OWN, "quota": {**QUOTA, "cpu": "99999"}})
        state = await until("b refuses", lambda: asked(a).get("state") == "mec-types:down" and asked(a))
        assert state["error"]["error-tag"] == "resource-denied"
        assert lent(b) == []
        assert a.federation.zones.zones() == []
        (alarm,) = a.publisher.entries("/mec-system:system/alarm")
        assert (alarm["resource"], alarm["is-cleared"]) == (f"b/{AGREEMENT}", False)

        cpu = f"/partner[id='b']/agreement[id='{AGREEMENT}']/{REQUESTED}/quota/cpu"
        await a.change(cpu, "merge", "1.0")
        await until("the slice is there", lambda: asked(a).get("state") == "mec-types:active")
        await until("the zone is offered", lambda: [zone["id"] for zone in a.federation.zones.zones()] == ["b.zone-1"])
        (alarm,) = a.publisher.entries("/mec-system:system/alarm")
        assert alarm["is-cleared"] is True
        assert [each["quota"]["cpu"] for each in lent(b)[0]["slice"]] == ["1.0"]
        await a.change(cpu, "merge", "0.5")
        await until("it is another one", lambda: [vim["slice"][0]["quota"]["cpu"] for vim in lent(b)] == ["0.5"])

        await a.change("/partner[id='b']", "remove")
        await until("the manager is gone with the agreement", lambda: not lent(b))
        await until("a has noted that it is", lambda: "orphan" not in a.read(""))

    play(story)


@pytest.mark.timeout(150)
def test_daemons_one_is_killed_and_the_manager_is_there_again(tmp_path: Path) -> None:
    """As an operator does it, with `nms`; the provider's daemon is killed while its customers use what it runs."""
    with processes.running(tmp_path / "a", "a") as a, processes.running(tmp_path / "b", "b") as b:
        a.listening()
        b.listening()
        terms: dict[str, Any] = {"agreement": "ab", "zones": ["zone-1"], "option": OPTIONS[1]}
        agree(b.client, card.of(a.config, a.folder), role="provider", **terms)
        agree(a.client, card.of(b.config, b.folder), role="consumer", **terms)
        of_a = "mec-federation:federation/partner=b/agreement=ab/mec-resource:requested-slice"
        nms(a, "edit", "--operation", "replace", of_a, json.dumps({REQUESTED: OWN}))
        processes.until("a has its slice", lambda: a.read(f"{of_a}/state").get("state") == "mec-types:active")
        processes.onboard(a)
        processes.deploy(a)
        where = processes.until("it runs", lambda: processes.endpoint(a))
        (manager,) = its(b)
        assert len(manager["compute-instance"]) == 1

        b.end(signal.SIGKILL)
        assert processes.answers(where)
        b.start()
        at_b = "mec-federation:federation/partner=a/agreement=ab/mec-resource:resources"
        (mine,) = json.loads(nms(b, "get", "--json", f"{at_b}/slice=ab"))["mec-resource:slice"]
        assert (mine["state"]["state"], mine["state"]["manager"]["name"]) == ("mec-types:active", "ab")
        (again,) = its(b)
        assert again["compute-instance"][0]["state"]["address"] == manager["compute-instance"][0]["state"]["address"]
        assert processes.answers(where)

        a.client.write("DELETE", processes.DEPLOYMENT)
        processes.until("b runs nothing", lambda: not its(b)[0].get("compute-instance"))
        assert not processes.answers(where)


def nms(daemon: processes.Daemon, *words: str) -> str:
    """What the command says."""
    config = str(daemon.folder / "nms.toml")
    command = [sys.executable, "-m", "nms.cli", words[0], "--config", config, *words[1:]]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def its(daemon: processes.Daemon) -> list[Members]:
    """Entries of the managers that a daemon has instantiated for slices."""
    found = daemon.read("mec-resource:infrastructure").get("vim", ())
    return [vim for vim in found if vim["id"] != "vim-1"]
