"""Which block carries out what a partner asks for: the only one there is, or the one that serves its agreement's slice.

A `Block` is spoken to in its own model.  It must not know what partners are shown.
"""

from __future__ import annotations

from typing import Protocol

from nms.errors import RpcError
from nms.mec.occurrence import Progress
from nms.mec.reference_point import ReferencePoint
from nms.mec.scope import Scope
from nms.mec.session import DataEdit, ManagementSession, Members, Sink, Watch
from nms.mec.slices import Slices
from nms.mec.windows import Writable

#: Operations that an intent can cause at the block, whichever of them it takes.
_OPERATIONS = ("instantiate", "start", "stop", "configure", "onboard", "transfer-context")


class Block(ReferencePoint):
    """The block's own model, whatever is in it.

    Args:
        base: of its entry.
        session: on it.
    """

    point = "inner"

    def __init__(self, base: str, session: ManagementSession) -> None:
        super().__init__(session)
        self.base = base

    async def put(self, path: str, subject: str, data: Members, kind: Writable, progress: Progress) -> None:
        """Have the entry at `path` carried out."""
        edit = DataEdit(path, "replace", data)
        if kind.followed:
            await self._carry_out(edit, subject, _OPERATIONS, progress)
        else:
            await self._edit([edit])
            await self._settle(path, kind.settled)

    async def remove(self, path: str, subject: str, kind: Writable, progress: Progress) -> None:
        """Have the entry at `path` ended; an unknown one is no error."""
        edit = DataEdit(path, "remove")
        if kind.followed:
            await self._carry_out(edit, subject, ("terminate", "delete-package"), progress)
        else:
            await self._edit([edit])


class Blocks(Protocol):
    """Finds the block."""

    def serving(self, scope: Scope) -> Block:
        """The one that carries out what is asked for in a scope now.  Raises `RpcError`: it is not there."""

    def holding(self, scope: Scope, path: str) -> Block:
        """The one that has the entry at `path`, below its own, that something in a scope has caused."""

    def watch(self, sink: Sink) -> Watch:
        """Notifications of all of them."""


class Single:
    """One for everybody."""

    def __init__(self, base: str, session: ManagementSession) -> None:
        self._block = Block(base, session)

    def serving(self, scope: Scope) -> Block:
        """See `Blocks.serving`."""
        return self._block

    def holding(self, scope: Scope, path: str) -> Block:
        """See `Blocks.holding`."""
        return self._block

    def watch(self, sink: Sink) -> Watch:
        """See `Blocks.watch`."""
        return self._block.watch(sink)


class Divided:
    """The infrastructure managers: the domain's own, and those of slices that have one."""

    def __init__(self, slices: Slices) -> None:
        self._slices = slices

    def serving(self, scope: Scope) -> Block:
        """See `Blocks.serving`."""
        name = self._slices.serving(scope)
        if not name:
            raise RpcError("operation-failed", "the manager of the slice is not there")
        return self._at(name)

    def holding(self, scope: Scope, path: str) -> Block:
        """See `Blocks.holding`."""
        return self._at(self._slices.holding(scope, path))

    def watch(self, sink: Sink) -> Watch:
        """See `Blocks.watch`."""
        return self._slices.watch(sink)

    def _at(self, name: str) -> Block:
        return Block(*self._slices.manager(name))
