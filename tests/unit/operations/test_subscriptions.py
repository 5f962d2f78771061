"""Dynamic subscriptions over time: periods, dampening, stop-times, slow receivers, costly filters, ends of sessions."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from nms.errors import RpcError
from nms.model import json
from nms.notify import subscription as subscription_module
from nms.notify.streams import Notification
from nms.operations.request import Invoke, Receiver, Session
from tests.unit.operations.shop_server import Server, at, schema

SN, YP = "ietf-subscribed-notifications", "ietf-yang-push"
NAME, PRICE = "/shop:shop/name", "/shop:shop/item[id='a']/price"


class Subscriber:
    """A session, what it is sent, and how much of it waits."""

    def __init__(self, server: Server, session: Session | None = None) -> None:
        self.server = server
        self.session = session or server.open("subscriber", recovery=True)
        self.events: list[Notification] = []
        self.behind = 0
        self.ended = 0

    def _end(self) -> None:
        self.ended += 1

    def call(self, module: str, name: str, **members: Any) -> dict[str, Any]:
        """The output of an rpc; names in `members` have ``_`` for ``-``."""
        node = schema().rpcs[module, name]
        value = json.decode(node.children[0], {key.replace("_", "-"): held for key, held in members.items()})
        receiver = Receiver(self.events.append, "xml", lambda: self.behind, self._end)
        reply = self.server.do(Invoke(node, value, receiver=receiver), self.session)
        return json.plain(reply.node, reply.data) if reply.node is not None else {}

    def push(self, datastore: str = "running", **members: Any) -> int:
        """Establish a subscription to a datastore; parameters of RFC 8641 by their plain names."""
        qualified = {f"{YP}:{name}": held for name, held in members.items() if name != "stop_time"}
        rest = {"stop-time": members["stop_time"]} if "stop_time" in members else {}
        target = {f"{YP}:datastore": f"ietf-datastores:{datastore}"}
        number: int = self.call(SN, "establish-subscription", **target, **qualified, **rest)["id"]
        return number

    def told(self) -> list[Any]:
        """What came since the last call.

        Of a push-update its contents, of a patch its edits as (operation, target, value), else the notification's name,
        with its reason if it has one.
        """
        events, self.events[:] = [(e.node, json.plain(e.node, e.value)) for e in self.events], []
        return [_said(node.name, members) for node, members in events]

    def state(self) -> list[dict[str, Any]]:
        """/subscriptions/subscription."""
        try:
            read = self.server.read(f"/{SN}:subscriptions")
        except RpcError:
            return []
        found: list[dict[str, Any]] = read.get(f"{SN}:subscriptions", {}).get("subscription", [])
        return found


def _said(name: str, members: dict[str, Any]) -> Any:
    if name == "push-update":
        return members["datastore-contents"]
    if name == "push-change-update":
        patch = members["datastore-changes"]["yang-patch"]
        found = [(e["operation"], e["target"], *e.get("value", {}).values()) for e in patch.get("edit", ())]
        return [*found, "incomplete"] if "incomplete-update" in members else found
    return (name, members["reason"].partition(":")[2]) if "reason" in members else name


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def subscriber(server: Server) -> Subscriber:
    return Subscriber(server)


QUIET = {"sync-on-start": False}


def stop(server: Server, seconds: float) -> str:
    return (server.now + timedelta(seconds=seconds)).isoformat()


def test_a_period_begins_at_once_and_goes_on(server: Server, subscriber: Subscriber) -> None:
    subscriber.push(**{"periodic": {"period": 500}, "datastore-subtree-filter": {"shop:shop": {"name": None}}})
    assert subscriber.told() == [{}]
    server.edit(at(NAME, "corner"))
    assert server.core.next_tick() == server.now + timedelta(seconds=5)
    server.wait(4)
    assert subscriber.told() == []
    server.wait(1)
    assert subscriber.told() == [{"shop:shop": {"name": "corner"}}]
    server.wait(12)  # two periods are over, and there is one state to tell
    assert len(subscriber.told()) == 1
    server.wait(3)
    assert len(subscriber.told()) == 1


def test_an_anchor_says_when(server: Server, subscriber: Subscriber) -> None:
    subscriber.push(periodic={"period": 1000, "anchor-time": "2030-01-01T00:00:03Z"})
    server.wait(2)
    assert subscriber.told() == []
    server.wait(1)
    assert len(subscriber.told()) == 1
    assert server.core.next_tick() == server.now + timedelta(seconds=10)


def test_a_periodic_update_of_operational_holds_computed_state(server: Server, subscriber: Subscriber) -> None:
    subscriber.push("operational", **{"periodic": {"period": 500}, "datastore-xpath-filter": f"/{SN}:streams"})
    (content,) = subscriber.told()
    assert content[f"{SN}:streams"]["stream"][0]["name"] == "NETCONF"


def test_dampened_changes_are_merged(server: Server, subscriber: Subscriber) -> None:
    subscriber.push(**{"on-change": {"dampening-period": 500, **QUIET}})
    server.edit(at(NAME, "one"))
    assert subscriber.told() == [[("create", "/shop:shop/name", "one")]]
    server.edit(at(NAME, "two"))
    server.edit(at(NAME, "three"))
    server.edit(at(PRICE, 1))
    server.edit(at("/shop:shop/item[id='gone']/price", 1))
    server.edit(at("/shop:shop/item[id='gone']", op="delete"))
    assert subscriber.told() == []
    assert server.core.next_tick() == server.now + timedelta(seconds=5)
    server.wait(5)
    (edits,) = subscriber.told()
    assert sorted(edits) == [
        ("create", "/shop:shop/item=a", [{"id": "a", "price": 1}]),
        ("replace", "/shop:shop/name", "three"),
    ]
    server.wait(10)
    assert subscriber.told() == []
    server.edit(at(NAME, "four"))
    assert len(subscriber.told()) == 1


def test_changes_that_undo_each_other_are_none(server: Server, subscriber: Subscriber) -> None:
    server.edit(at(NAME, "same"))
    subscriber.push(**{"on-change": {"dampening-period": 500}})
    assert subscriber.told() == [{"shop:shop": {"name": "same"}}]
    server.edit(at(NAME, "other"))
    server.edit(at(NAME, "same"))
    server.wait(5)
    assert subscriber.told() == []


def test_published_state_is_pushed_with_and_without_a_commit(server: Server, subscriber: Subscriber) -> None:
    visitors = "/shop:shop/status/visitors"

    class Counter:
        paths = ("/shop:shop/name",)

        def prepare(self, changes: Any, tx: Any) -> None: ...
        def abort(self, tx: Any) -> None: ...
        def apply(self, changes: Any, tx: Any) -> None:
            server.core.store.publish([at(visitors, 7)])

    subscriber.push("operational", **{"on-change": QUIET})
    server.core.store.publish([at(visitors, 1)])
    assert subscriber.told() == [[("create", visitors, 1)]]
    server.core.store.add_provider(Counter())
    server.edit(at(NAME, "x"))
    assert subscriber.told() == [[("create", "/shop:shop/name", "x"), ("replace", visitors, 7)]]


def test_what_a_subscriber_may_not_read_is_not_pushed(server: Server) -> None:
    subscriber = Subscriber(server, server.open("bound"))
    subscriber.push(**{"on-change": {}})
    assert subscriber.told() == [{}]
    server.edit(at("/shop:shop/till", "secret"))
    assert subscriber.told() == []
    server.edit(at("/shop:shop/till", "secret 2"), at(NAME, "open"))
    assert subscriber.told() == [[("create", "/shop:shop/name", "open")]]


@pytest.mark.parametrize("target", ["stream", "periodic", "on-change"])
def test_a_stop_time_ends_a_subscription(server: Server, subscriber: Subscriber, target: str) -> None:
    when = stop(server, 10)
    if target == "stream":
        subscriber.call(SN, "establish-subscription", stream="NETCONF", stop_time=when)
    else:
        subscriber.push(**{target: {"period": 1000} if target == "periodic" else {}}, stop_time=when)
    server.edit(at(NAME, "in time"))
    assert subscriber.events
    subscriber.events.clear()
    server.wait(10)
    server.edit(at(NAME, "late"))
    assert (subscriber.told(), subscriber.ended, subscriber.state()) == ([], 1, [])


def test_subscriptions_end_with_their_session(server: Server, subscriber: Subscriber) -> None:
    for _ in range(3):
        subscriber.push(**{"on-change": QUIET})
    subscriber.call(SN, "establish-subscription", stream="NETCONF")
    assert [one["id"] for one in subscriber.state()] == [1, 2, 3, 4]
    server.core.close_session(subscriber.session)
    server.edit(at(NAME, "unheard"))
    assert (subscriber.told(), subscriber.ended, subscriber.state()) == ([], 4, [])


def test_a_session_lets_go_of_subscriptions_that_have_ended(server: Server, subscriber: Subscriber) -> None:
    held = len(subscriber.session.on_close)
    for _ in range(3):
        subscriber.call(SN, "delete-subscription", id=subscriber.push(**{"on-change": QUIET}))
    assert len(subscriber.session.on_close) == held


def test_a_slow_receiver_is_suspended_and_brought_up_to_date(server: Server, subscriber: Subscriber) -> None:
    subscriber.push(**{"on-change": {}})
    subscriber.told()
    subscriber.behind = subscription_module.MOST_WAITING
    server.edit(at(NAME, "lost"))
    server.edit(at(NAME, "lost too"))
    assert subscriber.told() == [("subscription-suspended", "unsupportable-volume")]
    assert subscriber.state()[0]["receivers"]["receiver"][0]["state"] == "suspended"
    server.wait(1)
    assert subscriber.told() == []
    subscriber.behind = 0
    server.wait(1)
    assert subscriber.told() == ["subscription-resumed", {"shop:shop": {"name": "lost too"}}]
    server.edit(at(NAME, "seen"))
    assert subscriber.told() == [[("replace", "/shop:shop/name", "seen")]]


def test_without_synchronisation_a_gap_is_at_least_told(server: Server, subscriber: Subscriber) -> None:
    subscriber.push(**{"on-change": QUIET})
    subscriber.behind = subscription_module.MOST_WAITING
    server.edit(at(NAME, "lost"))
    subscriber.behind = 0
    server.wait(1)
    assert subscriber.told()[1:] == ["subscription-resumed", ["incomplete"]]


def test_who_stays_behind_loses_the_subscription(server: Server, subscriber: Subscriber) -> None:
    subscriber.call(SN, "establish-subscription", stream="NETCONF")
    subscriber.behind = subscription_module.MOST_WAITING
    server.edit(at(NAME, "x"))
    server.wait(300)
    assert subscriber.told() == [
        ("subscription-suspended", "unsupportable-volume"),
        ("subscription-terminated", "suspension-timeout"),
    ]
    assert (subscriber.ended, subscriber.state()) == (1, [])


COSTLY = "/shop:shop/name[count(//*[count(//*[. = //*]) > 9]) > 0]"


def fill(server: Server, size: int) -> None:
    server.edit(at(NAME, "full"), *(at(f"/shop:shop/item[id='{i}']/price", i) for i in range(size)))


def test_a_costly_filter_is_refused(server: Server, subscriber: Subscriber) -> None:
    fill(server, 300)
    with pytest.raises(RpcError) as caught:
        subscriber.push(**{"on-change": QUIET, "datastore-xpath-filter": COSTLY})
    assert (caught.value.tag, caught.value.app_tag) == ("resource-denied", f"{SN}:insufficient-resources")
    assert subscriber.state() == []


def test_a_filter_that_becomes_costly_is_suspended_and_can_be_modified(server: Server, subscriber: Subscriber) -> None:
    number = subscriber.push(**{"on-change": QUIET, "datastore-xpath-filter": COSTLY})
    fill(server, 300)
    assert subscriber.told() == [("subscription-suspended", "insufficient-resources")]
    target = {f"{YP}:datastore": "ietf-datastores:running", f"{YP}:datastore-xpath-filter": "/shop:shop/name"}
    subscriber.call(SN, "modify-subscription", id=number, **target)
    assert subscriber.told() == ["subscription-modified", ["incomplete"]]
    server.edit(at(NAME, "x"))
    assert subscriber.told() == [[("replace", "/shop:shop/name", "x")]]


def test_a_costly_filter_of_events_is_suspended(server: Server, subscriber: Subscriber) -> None:
    subscriber.call(
        SN, "establish-subscription", stream="NETCONF", stream_xpath_filter="count(//*[count(//*[. = //*]) > 9]) > 1"
    )
    fill(server, 300)
    assert subscriber.told() == [("subscription-suspended", "insufficient-resources")]


NESTED: dict[str, Any] = {"a": 1}
for _ in range(300):
    NESTED = {"a": NESTED}


@pytest.mark.parametrize(
    ("filters", "tag"),
    [
        ({"datastore-xpath-filter": "/"}, None),
        ({"datastore-xpath-filter": "current()"}, None),
        ({"datastore-xpath-filter": "/shop:shop/.."}, None),
        ({"datastore-xpath-filter": "/shop:shop" + "/.." * 3000}, "insufficient-resources"),
        ({"datastore-xpath-filter": "(" * 40}, "filter-unsupported"),
        ({"datastore-xpath-filter": "1"}, "unchanging-selection"),
        ({"datastore-subtree-filter": {"<a": 1}}, "filter-unsupported"),
        ({"datastore-subtree-filter": {"shop:shop": NESTED}}, "invalid-value"),
        ({"datastore-subtree-filter": 5}, "unchanging-selection"),
    ],
)
def test_strange_filters(server: Server, subscriber: Subscriber, filters: dict[str, Any], tag: str | None) -> None:
    if tag is None:
        subscriber.push(**{"on-change": QUIET}, **filters)
        server.edit(at(NAME, "x"))
        assert subscriber.told() == [[("create", "/shop:shop/name", "x")]]
    else:
        with pytest.raises(RpcError) as caught:
            subscriber.push(**{"on-change": QUIET}, **filters)
        assert tag in (caught.value.tag, caught.value.app_tag.partition(":")[2])
        assert subscriber.state() == []


def test_a_subscriber_has_so_many_subscriptions(server: Server, subscriber: Subscriber) -> None:
    server.core.context.limits = replace(server.core.context.limits, subscriptions_per_session=2)
    numbers = [subscriber.push(**{"on-change": QUIET}) for _ in range(2)]
    with pytest.raises(RpcError) as caught:
        subscriber.push(**{"on-change": QUIET})
    assert (caught.value.tag, caught.value.app_tag) == ("resource-denied", f"{SN}:insufficient-resources")
    Subscriber(server).push(**{"on-change": QUIET})
    subscriber.call(SN, "delete-subscription", id=numbers[0])
    subscriber.push(**{"on-change": QUIET})


def test_a_replay_longer_than_the_allowance_is_no_reason_to_suspend(server: Server, subscriber: Subscriber) -> None:
    start = server.now
    server.wait(1)
    node = schema().notifications["shop", "rang"]
    many = subscription_module.MOST_WAITING + 50
    for number in range(many):
        server.core.streams.publish(Notification(node, (), (str(number),), server.now))
    server.wait(1)

    class Counting(list[Notification]):
        def append(self, event: Notification) -> None:
            subscriber.behind += 1
            super().append(event)

    subscriber.events = Counting()
    filters = {"stream-subtree-filter": {"shop:rang": {}}}
    subscriber.call(SN, "establish-subscription", stream="NETCONF", replay_start_time=start.isoformat(), **filters)
    assert [event.node.name for event in subscriber.events[-2:]] == ["rang", "replay-completed"]
    assert len(subscriber.events) == many + 1
    server.core.streams.publish(Notification(node, (), ("live",), server.now))
    assert subscriber.events[-1].value == ("live",)


def test_a_broken_subscription_does_not_keep_a_change_from_the_others(server: Server) -> None:
    broken, sound = Subscriber(server), Subscriber(server)
    broken.push(**{"on-change": QUIET})
    sound.push(**{"on-change": QUIET})

    def fail() -> int:
        raise RuntimeError("broken")

    next(iter(server.core._subscriptions or ())).subscription.waiting = fail
    server.edit(at(NAME, "x"))
    server.wait(1)
    assert sound.told() == [[("create", "/shop:shop/name", "x")]]
    assert len(sound.state()) == 1


def test_an_end_while_it_is_established_leaves_nothing(server: Server, subscriber: Subscriber) -> None:
    server.core.close_session(subscriber.session)
    subscriber.push(**{"on-change": {}})
    assert (subscriber.ended, subscriber.state()) == (1, [])


def test_a_subscription_is_shown_where_it_can_be_read(server: Server, subscriber: Subscriber) -> None:
    subscriber.push(**{"on-change": {"excluded-change": ["move"]}, "datastore-xpath-filter": "/shop:shop"})
    found = server.read(f"/{SN}:subscriptions/{SN}:subscription[{SN}:id='1']")[f"{SN}:subscriptions"]["subscription"][0]
    assert found[f"{YP}:on-change"] == {"excluded-change": ["move"]}
    assert found[f"{YP}:datastore-xpath-filter"] == "/shop:shop"
