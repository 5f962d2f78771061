"""Two domains agree, disagree and part; seen from outside: their datastores and what crosses between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nms.errors import RpcError
from nms.federation import link
from nms.federation.adaptor import RemoteSession
from nms.federation.models import mismatches
from nms.federation.options import option_of
from tests.federation.two_domains import AGREEMENT, OVER_BOTH, Domain, federate, until

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


def test_the_same_domain_is_refused_under_another_name(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await a.add(b.card, "consumer")
        with pytest.raises(RpcError) as refused:
            await a.add({**b.card, "id": "b2"}, "consumer")
        assert refused.value.tag == "data-exists"
        assert "exists as b" in refused.value.message
        assert [each["id"] for each in a.read("")["partner"]] == ["b"]

    play(story)


def test_a_partner_cannot_take_a_local_users_name(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        with pytest.raises(RpcError) as refused:
            await a.add({**b.card, "id": "admin"}, "consumer")
        assert refused.value.tag == "in-use"
        assert "partner" not in a.read("")

    play(story)


def test_an_option_for_which_a_block_is_missing_is_shown_and_not_activated(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(a: Domain, b: Domain) -> None:
        monkeypatch.setattr(b.federation.partners, "_blocks", ("meo", "vim"))
        option = {"boundary-option": "mec-types:option-service"}
        await b.add(a.card, "provider", **option)
        await a.add(b.card, "consumer", **option)
        reason = await until(
            "b says why", lambda: b.read(ENTRY.format("a")).get("state", {}).get("reason", "").startswith("a provider")
        )
        assert reason
        shown = b.read(ENTRY.format("a"))
        assert shown["boundary-option"] == "mec-types:option-service"
        assert shown["state"]["reason"].endswith("runs mep, mepm too")
        assert b.state("a") == "proposed"

    play(story)


@OVER_BOTH
@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [("A whole MEC system", "All of a MEC system", "editorial"), ("leaf hold-time {", "leaf holding {", "breaking")],
)
def test_what_differs_between_the_models_decides(
    play: Play, old: str, new: str, difference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both domains of a test have the same models; so what a is given of b's is changed on the way."""
    fetch = RemoteSession.schema

    async def changed(self: RemoteSession, name: str, revision: str) -> bytes:
        if "partner[id='b']" in self._base:
            raise RpcError("data-missing", "b compares nothing")
        given = (await fetch(self, name, "")).decode()
        assert old in given
        return (
            given.replace(old, new).replace("revision 2026", f"revision {revision} {{}}\n  revision 2026", 1).encode()
        )

    async def story(a: Domain, b: Domain) -> None:
        monkeypatch.setattr("nms.federation.models.mismatches", lambda *given: {"mec-system": "2099-01-01"})
        monkeypatch.setattr(RemoteSession, "schema", changed)
        await b.add(a.card, "provider")
        await a.add(b.card, "consumer")
        await until("a compares", lambda: "model-mismatch" in a.read("/partner[id='b']").get("state", {}))
        harmless = difference == "editorial"
        await until("a decides", lambda: a.state("b") == ("active" if harmless else "negotiating"))
        shown = a.read("/partner[id='b']/state")
        assert shown["models-agree"] is harmless
        assert shown["model-mismatch"] == [{"module": "mec-system", "revision": "2099-01-01", "difference": difference}]
        await until(
            "a says why", lambda: harmless or "mec-system (breaking)" in a.read(ENTRY.format("b"))["state"]["reason"]
        )

    play(story)


def test_only_the_modules_of_the_option_are_compared(models: Any) -> None:
    ours = {name: module.revision for name, module in models.modules.items()}
    library = {"module-set": [{"module": [{"name": name, "revision": ours[name]} for name in ours]}]}
    wanted = link.modules_of(option_of("option-system"))
    assert "mec-system" in wanted
    assert "mec-order" not in wanted
    assert mismatches(models, library, wanted) == {}
    older = [{"name": name, "revision": "2020-01-01" if name == "mec-types" else ours[name]} for name in wanted[:-1]]
    found = mismatches(models, {"module-set": [{"module": older}]}, wanted)
    assert found == {"mec-types": "2020-01-01", "mec-system": ""}


def test_a_descriptor_that_was_not_accepted_keeps_an_agreement_waiting(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await b.add(a.card, "provider")
        await a.add(b.card, "consumer")
        await a.change("/partner[id='b']/descriptor", "merge", {"accepted-digest": "0" * 64})
        await until("a waits", lambda: "descriptor" in a.read(ENTRY.format("b")).get("state", {}).get("reason", ""))
        assert a.state("b") == "negotiating"
        digest = a.read("/partner[id='b']/descriptor/acquired")["digest"]
        await a.change("/partner[id='b']/descriptor", "merge", {"accepted-digest": digest})
        await until("a's agreement is active", lambda: a.state("b") == "active")

    play(story)


def test_suspended_by_one_side_is_suspended_at_both(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        await b.change(ENTRY.format("a"), "merge", {"admin-state": "suspended"})
        await until("a is suspended", lambda: a.state("b") == "suspended")
        await b.change(ENTRY.format("a"), "merge", {"admin-state": "enabled"})
        await until("a is active again", lambda: a.state("b") == "active")

    play(story)
