"""Two domains agree, disagree and part; seen from outside: their datastores and what crosses between them."""

from __future__ import annotations

from collections.abc import Callable

from tests.federation.two_domains import AGREEMENT, Domain, federate, until

Play = Callable[..., None]
ENTRY = f"/partner[id='{{}}']/agreement[id='{AGREEMENT}']"


def test_two_sides_agree(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        partner = a.read("/partner[id='b']")
        assert partner["state"]["reachable"] is True
        assert partner["state"]["models-agree"] is True
        assert partner["descriptor"]["acquired"]["accepted"] is True
        session = partner["agreement"][0]["session"][0]
        assert session["state"] == "mec-types:established"
        assert int(session["messages-in"]) > 0

    play(story)


def test_nothing_is_active_before_the_partner_agrees(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await a.add(b.card, "consumer")
        await until("a has been turned away", lambda: a.read("/partner[id='b']").get("state", {}).get("last-error"))
        assert a.state("b") == "proposed"
        assert a.read("/partner[id='b']")["state"]["reachable"] is False
        await b.add(a.card, "provider", zones=("zone-9",))
        await until("a knows of b's terms", lambda: a.state("b") == "negotiating")
        assert "zone" in a.read(ENTRY.format("b"))["state"]["reason"]

    play(story)
