"""What a connection sends in one turn of the event loop: in its order, together, and at once when nobody else waits."""

from __future__ import annotations

import asyncio

from nms.transport.outbox import Outbox


def test_who_asks_alone_is_answered_at_once() -> None:
    async def play() -> None:
        sent: list[bytes] = []
        Outbox(asyncio.get_running_loop(), sent.append).put(b"a")
        assert sent == [b"a"]

    asyncio.run(play())


def test_several_connections_are_sent_to_after_all_of_them_have_been_answered() -> None:
    async def play() -> None:
        happened: list[bytes] = []
        loop = asyncio.get_running_loop()
        boxes = [Outbox(loop, happened.append) for _ in range(3)]

        def answer(box: Outbox, name: bytes) -> None:
            happened.append(b"answer " + name)
            box.put(b"send " + name)

        for box, name in zip(boxes, (b"1", b"2", b"3"), strict=True):
            loop.call_soon(answer, box, name)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert happened == [b"answer 1", b"answer 2", b"answer 3", b"send 1", b"send 2", b"send 3"]

    asyncio.run(play())


def test_the_bytes_of_one_connection_keep_their_order_whatever_their_size() -> None:
    async def play() -> None:
        sent: list[bytes] = []
        loop = asyncio.get_running_loop()
        box = Outbox(loop, sent.append)
        loop.call_soon(lambda: None)  # so that the loop has something else to do
        large = bytes(1024 * 1024)
        box.put(b"a")
        box.put(b"b")
        assert sent == []
        box.put(large)
        assert sent == [b"ab", large]
        box.put(b"c")
        box.flush()
        box.flush()
        assert sent == [b"ab", large, b"c"]
        await asyncio.sleep(0)
        assert sent == [b"ab", large, b"c"]

    asyncio.run(play())
