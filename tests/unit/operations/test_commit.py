"""Candidate, commit and confirmed commit (RFC 6241 sections 8.3 and 8.4)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from nms.errors import RpcError
from nms.operations.request import CancelCommit, DiscardChanges, Lock, Unlock, Validate
from tests.unit.operations.shop_server import Server, at


@pytest.fixture
def server() -> Server:
    server = Server()
    server.edit(at("/shop:shop/name", "old"))
    server.told()
    return server


def change(server: Server, name: str) -> None:
    server.edit(at("/shop:shop/name", name), target="candidate")


def events(server: Server) -> list[str]:
    return [event["confirm-event"] for name, event in server.told() if name == "netconf-confirmed-commit"]


def test_candidate_follows_running_until_it_is_changed(server: Server) -> None:
    server.edit(at("/shop:shop/tag[.='x']", "x"))
    assert server.shop("candidate") == server.shop()
    change(server, "new")
    assert server.shop()["name"] == "old"
    assert server.shop("candidate")["name"] == "new"
    server.do(Validate("candidate"))
    server.commit()
    assert server.shop()["name"] == "new"
    assert [name for name, _ in server.told()] == ["netconf-config-change"] * 2


def test_discard(server: Server) -> None:
    change(server, "new")
    server.do(DiscardChanges())
    assert server.shop("candidate")["name"] == "old"


def test_an_unconfirmed_commit_is_undone_in_time(server: Server) -> None:
    change(server, "new")
    server.commit(confirmed=True, timeout=60)
    assert server.core.next_tick() is not None
    server.wait(59)
    assert server.shop()["name"] == "new"
    server.wait(1)
    assert server.shop()["name"] == "old"
    assert server.core.next_tick() is None
    assert events(server) == ["start", "timeout"]


def test_a_confirmed_one_stays(server: Server) -> None:
    change(server, "new")
    server.commit(confirmed=True, timeout=60)
    server.commit()
    server.wait(3600)
    assert server.shop()["name"] == "new"
    assert events(server) == ["start", "complete"]


def test_what_is_over_cannot_be_confirmed_though_the_timer_is_late(server: Server) -> None:
    change(server, "new")
    server.commit(confirmed=True, timeout=60)
    server.now += timedelta(seconds=60)
    with pytest.raises(RpcError, match="invalid-value"):
        server.do(CancelCommit())
    assert server.shop()["name"] == "old"
    assert events(server) == ["start", "timeout"]


def test_a_follow_up_extends_and_keeps_the_first_configuration(server: Server) -> None:
    change(server, "new")
    server.commit(confirmed=True, timeout=60)
    server.wait(50)
    change(server, "newer")
    server.commit(confirmed=True, timeout=60)
    server.wait(50)
    assert server.shop()["name"] == "newer"
    server.wait(10)
    assert server.shop()["name"] == "old"
    assert events(server) == ["start", "extend", "timeout"]


def test_cancel(server: Server) -> None:
    change(server, "new")
    server.commit(confirmed=True)
    server.do(CancelCommit())
    assert server.shop()["name"] == "old"
    assert events(server) == ["start", "cancel"]
    with pytest.raises(RpcError, match="invalid-value"):
        server.do(CancelCommit())


def test_the_end_of_its_session_undoes_it(server: Server) -> None:
    other = server.open("other", recovery=True)
    change(server, "new")
    server.commit(other, confirmed=True)
    server.core.close_session(other)
    assert server.shop()["name"] == "old"
    assert events(server) == ["start", "cancel"]


def test_persist_outlives_the_session_and_wants_its_token(server: Server) -> None:
    other = server.open("other", recovery=True)
    change(server, "new")
    server.commit(other, confirmed=True, persist="token")
    server.core.close_session(other)
    assert server.shop()["name"] == "new"
    for attempt, tag in (({}, "in-use"), ({"persist_id": "guess"}, "invalid-value")):
        with pytest.raises(RpcError) as caught:
            server.commit(**attempt)
        assert caught.value.tag == tag
    server.commit(persist_id="token")
    server.wait(3600)
    assert server.shop()["name"] == "new"


def test_another_session_cannot_confirm_nor_lock_running(server: Server) -> None:
    other = server.open("other", recovery=True)
    change(server, "new")
    server.commit(confirmed=True)
    for request in (lambda: server.commit(other), lambda: server.do(CancelCommit(), other)):
        with pytest.raises(RpcError) as caught:
            request()
        assert caught.value.tag == "in-use"
        assert caught.value.info == {"session-id": "1"}
    with pytest.raises(RpcError, match="lock-denied"):
        server.do(Lock("running"), other)


def test_locks_keep_others_out_and_end_with_the_session(server: Server) -> None:
    other = server.open("other", recovery=True)
    server.do(Lock("running"), other)
    server.do(Lock("candidate"), other)
    for attempt in (
        lambda: server.edit(at("/shop:shop/name", "mine")),
        lambda: change(server, "mine"),
        lambda: server.commit(),
        lambda: server.do(DiscardChanges()),
    ):
        with pytest.raises(RpcError) as caught:
            attempt()
        assert caught.value.tag == "in-use"
        assert caught.value.info == {"session-id": str(other.id)}
    with pytest.raises(RpcError) as caught:
        server.do(Lock("running"))
    assert (caught.value.tag, caught.value.info) == ("lock-denied", {"session-id": str(other.id)})
    with pytest.raises(RpcError, match="operation-failed"):
        server.do(Unlock("running"))
    server.edit(at("/shop:shop/name", "theirs"), session=other, target="candidate")
    server.core.close_session(other)
    assert server.shop("candidate")["name"] == "old"
    change(server, "mine")
    server.commit()
    assert server.shop()["name"] == "mine"


def test_a_changed_candidate_cannot_be_locked(server: Server) -> None:
    change(server, "new")
    with pytest.raises(RpcError, match="lock-denied"):
        server.do(Lock("candidate"))
    server.do(DiscardChanges())
    server.do(Lock("candidate"))
    with pytest.raises(RpcError, match="operation-failed"):
        server.do(Unlock("startup"))
