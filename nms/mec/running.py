"""A block at work: asked and told of changes, its actions taken, on the core of its domain."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Protocol

from nms.datastore.provider import Provider
from nms.datastore.transaction import Transaction
from nms.mec.lifecycle import LifeCycle
from nms.mec.publisher import Store as PublishingStore
from nms.mec.publisher import Streams as PublishingStreams
from nms.mec.scope import scope_of
from nms.mec.session import Core as Dispatcher
from nms.operations.request import Invoke, Session


class Store(PublishingStore, Protocol):
    """What is asked of the datastores, further than by the publisher."""

    @property
    def stumbles(self) -> list[Callable[[Provider, Transaction, Exception], None]]: ...
    def add_provider(self, provider: Provider) -> None: ...


class Core(Dispatcher, Protocol):
    """What is asked of the core, further than by sessions."""

    @property
    def store(self) -> Store: ...
    @property
    def streams(self) -> PublishingStreams: ...
    def register(self, module: str, rpc: str, handler: Callable[[Session, Invoke], Any], /) -> None: ...


class Block(Protocol):
    """What every block is to the domain."""

    @property
    def provider(self) -> Provider: ...
    async def start(self) -> None: ...
    async def close(self) -> None: ...


async def run(stack: contextlib.AsyncExitStack, core: Core, block: Block, bases: list[str]) -> None:
    """Have a block asked and told of changes, take its actions, and start it.

    Args:
        stack: of what ends with the domain, in reverse.
        bases: of the lists operation-occurrence that are the block's.
    """
    core.store.add_provider(block.provider)
    lifecycle: LifeCycle | None = getattr(block, "lifecycle", None)
    for base in bases:
        module = base.strip("/").partition(":")[0]
        for action in ("cancel", "retry", "fail"):
            assert lifecycle is not None
            core.register(module, f"{base}/operation-occurrence/{action}", _action(lifecycle, action))
    await block.start()
    stack.push_async_callback(block.close)


def _action(lifecycle: LifeCycle, action: str) -> Callable[[Session, Invoke], None]:
    def call(session: Session, invoke: Invoke) -> None:
        lifecycle.act(scope_of(invoke.path[:-1]), str(invoke.path[-1][1]), action)

    return call
