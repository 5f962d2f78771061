"""Event streams: replay, end, filters, and subscribers that misbehave (RFC 5277)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from lxml import etree

from nms.errors import RpcError
from nms.model import json
from nms.notify.streams import Notification, Streams
from nms.operations.request import SubtreeFilter, XPathFilter
from tests.unit.operations.shop_server import Server, at, path, schema


def rang(server: Server, who: str) -> None:
    node = schema().notifications["shop", "rang"]
    server.core.streams.publish(Notification(node, (), json.decode(node, {"who": who}), server.now))


def names(events: list[Any]) -> list[str]:
    return [event.node.name if event.node.name != "rang" else event.value[0] for event in events]


def test_replay_comes_first_and_is_marked() -> None:
    server = Server()
    start = server.now
    server.wait(1)
    rang(server, "one")
    server.wait(1)
    rang(server, "two")
    got: list[Any] = []
    server.do(server.subscription(got, start_time=start + timedelta(seconds=2)))
    assert names(got) == ["two", "replayComplete"]
    rang(server, "three")
    assert names(got) == ["two", "replayComplete", "three"]


def test_a_subscription_ends_at_its_stop_time() -> None:
    server = Server()
    got: list[Any] = []
    server.do(server.subscription(got, start_time=server.now, stop_time=server.now + timedelta(seconds=10)))
    got.clear()
    rang(server, "in time")
    server.wait(10)
    rang(server, "late")
    assert names(got) == ["in time", "notificationComplete"]


def test_the_buffer_is_bounded_and_says_what_it_lost() -> None:
    server = Server()
    streams = Streams(server.now, size=2)
    node = schema().notifications["shop", "rang"]
    times = [server.now + timedelta(seconds=i) for i in range(4)]
    for time in times:
        streams.publish(Notification(node, (), (str(time.second),), time))
    got: list[Any] = []
    streams["NETCONF"].subscribe(got.append, lambda event: True, times[0], None, times[-1])
    assert names(got) == ["2", "3", "replayComplete"]
    assert streams["NETCONF"].aged == times[1]


@pytest.mark.parametrize(
    ("start", "stop", "tag"), [(None, 1, "missing-element"), (5, None, "bad-element"), (-1, -2, "bad-element")]
)
def test_senseless_times_are_refused(start: int | None, stop: int | None, tag: str) -> None:
    server = Server()

    def moment(offset: int | None) -> Any:
        return None if offset is None else server.now + timedelta(seconds=offset)

    with pytest.raises(RpcError) as caught:
        server.do(server.subscription([], start_time=moment(start), stop_time=moment(stop)))
    assert caught.value.tag == tag


def test_an_unknown_stream() -> None:
    with pytest.raises(RpcError) as caught:
        Server().do(Server().subscription([], stream="none"))
    assert caught.value.status == 404


def test_subtree_filters_select_events() -> None:
    server = Server()
    got: list[Any] = []
    wanted = etree.fromstring('<filter><rang xmlns="urn:example:shop"><who>me</who></rang></filter>')
    server.do(server.subscription(got, filter=SubtreeFilter(wanted)))
    server.edit(at("/shop:shop/name", "x"))
    rang(server, "you")
    rang(server, "me")
    assert names(got) == ["me"]


def test_xpath_filters_select_events_and_bad_ones_are_refused_at_once() -> None:
    server = Server()
    got: list[Any] = []
    names_in_scope = {"s": "urn:example:shop"}
    server.do(server.subscription(got, filter=XPathFilter("/s:rang[s:who='me']", names_in_scope)))
    rang(server, "you")
    rang(server, "me")
    assert names(got) == ["me"]
    with pytest.raises(RpcError, match="invalid-value"):
        server.do(server.subscription(got, filter=XPathFilter("/s:rang[", names_in_scope)), server.open("ann"))


def test_a_session_has_one_subscription_at_a_time() -> None:
    server = Server()
    ann = server.open("ann", recovery=True)
    got: list[Any] = []
    server.do(server.subscription(got, start_time=server.now, stop_time=server.now + timedelta(seconds=5)), ann)
    with pytest.raises(RpcError, match=r"operation-failed.*one at a time"):
        server.do(server.subscription(got), ann)
    server.wait(5)
    assert names(got)[-1] == "notificationComplete"
    server.do(server.subscription(got), ann)
    rang(server, "me")
    assert names(got)[-1] == "me"


def test_events_of_an_instance_are_filtered_by_their_path() -> None:
    server = Server()
    server.edit(at("/shop:shop/item[id='a']/price", 1), at("/shop:shop/item[id='b']/price", 1))
    got: list[Any] = []
    wanted = etree.fromstring('<filter><shop xmlns="urn:example:shop"><item><id>b</id></item></shop></filter>')
    server.do(server.subscription(got, filter=SubtreeFilter(wanted)))
    node = schema().find("/shop:shop/item/sold-out")
    for key in ("a", "b"):
        server.core.streams.publish(Notification(node, path(f"/shop:shop/item[id='{key}']"), ("now",), server.now))
    assert [event.path for event in got] == [path("/shop:shop/item[id='b']")]


def test_a_failing_subscriber_hurts_nobody_and_is_removed(caplog: pytest.LogCaptureFixture) -> None:
    server = Server()
    stream = server.core.streams["NETCONF"]
    calls: list[object] = []

    def fail(event: object) -> None:
        calls.append(event)
        raise OSError("gone")

    got: list[Any] = []
    stream.subscribe(fail, lambda event: True, None, None, server.now)
    server.do(server.subscription(got))
    rang(server, "one")
    rang(server, "two")
    assert (len(calls), names(got)) == (1, ["one", "two"])
    assert "failed and is removed" in caplog.text


def test_the_end_of_a_session_ends_its_subscription() -> None:
    server = Server()
    session = server.open("ann")
    got: list[Any] = []
    server.do(server.subscription(got), session)
    server.core.close_session(session)
    got.clear()
    rang(server, "one")
    assert got == []
