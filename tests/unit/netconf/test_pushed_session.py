"""Subscriptions in a whole session: replies come first, who does not read is suspended, who is lost is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, cast

from nms.model.edit import at
from nms.model.load import load
from nms.model.path import parse_path
from nms.model.schema import Schema
from nms.notify.subscription import MOST_WAITING
from nms.operations.dispatch import PROTOCOL_MODULES, Core
from nms.operations.request import EditConfig, Principal
from tests.unit.netconf.recording_core import MODELS
from tests.unit.netconf.test_session import Client

ESTABLISH = """<establish-subscription xmlns="urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
        xmlns:yp="urn:ietf:params:xml:ns:yang:ietf-yang-push" xmlns:ds="urn:ietf:params:xml:ns:yang:ietf-datastores">
    <yp:datastore>ds:running</yp:datastore><yp:on-change/></establish-subscription>"""
RESYNC = """<resync-subscription xmlns="urn:ietf:params:xml:ns:yang:ietf-yang-push"><id>1</id></resync-subscription>"""


@cache
def schema() -> Schema:
    return load([MODELS], [*PROTOCOL_MODULES, "example-network"])


def play(scenario: Callable[[Client, Core], Awaitable[None]]) -> None:
    async def run() -> None:
        core = Core.create(schema())
        client = Client(cast(Any, core))
        client.start()
        await scenario(client, core)
        core.close()

    asyncio.run(run())


def rename(core: Core, name: str) -> None:
    admin = core.open_session(Principal("admin", recovery=True), "restconf", "h", lambda _: None)
    edit = at(parse_path(schema(), "/example-network:network/name"), "merge", name, parents="merge")
    core.dispatch(admin, EditConfig("running", [edit]))
    core.close_session(admin)


def kinds(client: Client) -> list[str]:
    """What came since the last call: replies, and notifications by name."""
    words = ("rpc-reply", "push-update", "push-change-update", "subscription-suspended", "subscription-resumed")
    found = [next(word for word in words if f"<{word} " in message) for message in client.received]
    client.received.clear()
    return found


def test_an_update_does_not_overtake_the_reply() -> None:
    async def scenario(client: Client, core: Core) -> None:
        for _ in range(10):
            client.send(ESTABLISH)
            await client.until(lambda: len(client.received) == 2)
            assert kinds(client) == ["rpc-reply", "push-update"]
        client.send(RESYNC)
        await client.until(lambda: len(client.received) == 2)
        assert kinds(client) == ["rpc-reply", "push-update"]

    play(scenario)


def test_who_does_not_read_is_suspended_and_caught_up_with() -> None:
    async def scenario(client: Client, core: Core) -> None:
        client.send(ESTABLISH)
        await client.until(lambda: len(client.received) == 2)
        kinds(client)
        client.session.pause_writing()
        for i in range(MOST_WAITING + 20):
            rename(core, f"n{i}")
        await asyncio.sleep(0)
        assert client.received == []
        client.session.resume_writing()
        await client.until(lambda: len(client.received) == MOST_WAITING + 1)
        assert kinds(client)[-1] == "subscription-suspended"
        await asyncio.to_thread(core.tick, datetime.now(UTC) + timedelta(seconds=1))
        await client.until(lambda: len(client.received) == 2)
        assert f"<name>n{MOST_WAITING + 19}</name>" in client.received[1]
        assert kinds(client) == ["subscription-resumed", "push-update"]

    play(scenario)


def test_a_lost_session_takes_its_subscriptions_along() -> None:
    async def scenario(client: Client, core: Core) -> None:
        client.send(ESTABLISH)
        await client.until(lambda: len(client.received) == 2)
        listed = schema().find("/ietf-subscribed-notifications:subscriptions").index
        assert core.store.with_sources(core.store.operational, lambda _: True)[listed] is not None
        client.session.connection_lost()
        await client.until(lambda: core.store.with_sources(core.store.operational, lambda _: True)[listed] is None)

    play(scenario)
