"""One writer at a time, readers never wait, nobody sees half a transaction."""

from __future__ import annotations

import threading

from nms.operations.request import Get, PathFilter
from tests.unit.operations.shop_server import Server, at, path

WRITERS, EDITS = 4, 25


def test_no_edit_is_lost_and_no_reader_sees_half_of_one() -> None:
    server = Server()
    server.edit(at("/shop:shop/name", "0"), at("/shop:shop/hours/from", "0"))
    torn: list[object] = []
    done = threading.Event()

    def write(number: int) -> None:
        session = server.open(f"w{number}", recovery=True)
        for i in range(EDITS):
            text = f"{number}.{i}"
            both = at("/shop:shop/name", text), at("/shop:shop/hours/from", text)
            server.edit(*both, at(f"/shop:shop/item[id='{text}']/price", i), session=session)

    def read() -> None:
        session = server.open("reader", recovery=True)
        while not done.is_set():
            for where in ("running", "operational"):
                shop = server.shop(where, session)  # type: ignore[arg-type]
                if shop["name"] != shop["hours"]["from"]:
                    torn.append(shop)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    reader = threading.Thread(target=read)
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert torn == []
    assert len(server.shop()["item"]) == WRITERS * EDITS
    assert server.shop("operational") == server.shop()


def test_readers_do_not_wait_for_the_writer() -> None:
    server = Server()
    server.edit(at("/shop:shop/name", "x"))
    answered = threading.Event()

    def read() -> None:
        server.do(Get("operational", PathFilter(path("/shop:shop"))))
        answered.set()

    with server.core.store.writer:
        thread = threading.Thread(target=read)
        thread.start()
        assert answered.wait(10)
    thread.join()
