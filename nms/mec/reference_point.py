"""What every reference point has in common (ETSI GS MEC 003 clause 8): intents are written and followed.

Notifications carry the progress; a gap in their sequence numbers, or silence, makes the follower read the occurrence
again, so that lost, doubled or reordered ones do no harm.  It must not know what any point carries.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from nms.errors import RpcError
from nms.mec.occurrence import OCCURRENCE_CHANGED, TEMPORARY, Occurrence, Progress, occurrence_of
from nms.mec.session import RESYNC, DataEdit, ManagementSession, Members, Sink, Watch

#: Without a notification for this long, the state is read again.  Seconds.
SILENCE = 2.0
#: Pauses before an edit is tried again that met a lock, which is held for a moment (RFC 6241 section 7.5).  Seconds.
LOCK_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.5, 3.0)


class _Events:
    """The notifications of a subtree as a queue that knows when it has missed one."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[tuple[str, Members]] = asyncio.Queue()
        self._last: int | None = None

    def put(self, name: str, members: Members) -> None:
        """Take one in; repetitions and latecomers are dropped, a gap becomes RESYNC."""
        if "sequence" in members:
            number, last = int(members["sequence"]), self._last
            if last is not None and number <= last:
                return
            self._last = number
            if last is not None and number != last + 1:
                self.queue.put_nowait((RESYNC, {}))
        elif name == RESYNC:
            self._last = None
        self.queue.put_nowait((name, members))

    async def next(self) -> tuple[str, Members]:
        """The next one; RESYNC after `SILENCE`."""
        try:
            async with asyncio.timeout(SILENCE):
                return await self.queue.get()
        except TimeoutError:
            return RESYNC, {}


class ReferencePoint:
    """What all have in common: occurrences, alarms, indicators and notifications."""

    point: ClassVar[str]

    def __init__(self, session: ManagementSession) -> None:
        self.session = session

    async def occurrence(self, id: str) -> Occurrence | None:
        """An operation occurrence as it is now."""
        members = await self.session.get(f"/operation-occurrence[id='{id}']")
        return None if members is None else occurrence_of(members)

    async def latest(self, subject: str) -> Occurrence | None:
        """The newest operation occurrence about a package, deployment, instance or other entry."""
        found = [each for each in await self.occurrences() if each.subject == subject]
        return max(found, key=lambda each: each.start_time, default=None)

    async def occurrences(self) -> Sequence[Occurrence]:
        """All operation occurrences that are remembered."""
        return [occurrence_of(each) for each in await self._entries("operation-occurrence")]

    async def follow(self, id: str, progress: Progress | None = None) -> Occurrence:
        """Wait for the end of an operation occurrence; `progress` is called with each of its changes.

        Raises:
            RpcError: it failed, was cancelled, or waits for a decision (app_tag `TEMPORARY`); with its error-tag and
                detail.  data-missing: there is none.
        """
        async with self._events() as events:
            current = await self.occurrence(id)
            shown = None
            while True:
                if current is None:
                    raise RpcError("data-missing", f"operation occurrence {id} is not known")
                if progress is not None and current != shown:
                    progress(current)
                shown = current
                if current.ended:
                    if current.state != "completed":
                        raise current.failure()
                    return current
                name, members = await events.next()
                if name == RESYNC:
                    current = await self.occurrence(id)
                elif name == OCCURRENCE_CHANGED and members.get("occurrence") == id:
                    current = occurrence_of(members)

    async def cancel(self, id: str, mode: str = "graceful") -> None:
        """Cancel what is under way; what has been done is undone."""
        await self._act(id, "cancel", {"mode": mode})

    async def retry(self, id: str) -> None:
        """Try again what has failed for the time being."""
        await self._act(id, "retry", {})

    async def fail(self, id: str) -> None:
        """Give up what has failed for the time being; return when what can be undone, or ended, is so."""
        async with self._events() as events:
            await self._act(id, "fail", {})
            while (current := await self.occurrence(id)) is not None and current.state == "failed-temp":
                await events.next()

    async def alarms(self) -> Sequence[Members]:
        """Alarms (RFC 8632 names)."""
        return await self._entries("alarm")

    async def kpis(self) -> Sequence[Members]:
        """Indicators."""
        return await self._entries("kpi")

    def watch(self, sink: Sink) -> Watch:
        """Notifications of the other side; after `RESYNC` read the state again."""
        return self.session.watch(sink)

    async def _edit(self, edits: Sequence[DataEdit]) -> None:
        """Edit, as soon as nobody holds a lock.

        Raises:
            RpcError: the other side's; in-use or lock-denied (app_tag `TEMPORARY`) when a lock is held for long.
        """
        for pause in (*LOCK_PAUSES, None):
            try:
                return await self.session.edit(edits)
            except RpcError as error:
                if error.tag not in ("in-use", "lock-denied"):
                    raise
                if pause is None:
                    raise RpcError(error.tag, error.message, path=error.path, app_tag=TEMPORARY) from error
            await asyncio.sleep(pause)

    async def _act(self, id: str, action: str, input: Mapping[str, Any]) -> None:
        await self.session.invoke(f"/operation-occurrence[id='{id}']", action, input)

    async def _entries(self, name: str) -> Sequence[Members]:
        found = await self.session.get(f"/{name}")
        entries: Sequence[Members] = found[name] if found is not None else ()
        return entries

    @asynccontextmanager
    async def _events(self) -> AsyncIterator[_Events]:
        events = _Events()
        handle = self.session.watch(events.put)
        try:
            yield events
        finally:
            handle.close()

    async def _carry_out(
        self, edit: DataEdit, subject: str, operations: Sequence[str], progress: Progress | None
    ) -> Occurrence | None:
        """Write an intent and follow what it causes; None if there was nothing to do.

        Writing the same intent again (after a lost answer) follows what the first one caused; where that waits for
        a decision it is retried.
        """
        await self._edit([edit])
        found = await self.latest(subject)
        if found is None or found.operation not in operations:
            return None
        if found.state == "failed-temp":
            await self.retry(found.id)
        return await self.follow(found.id, progress)

    async def _end(self, path: str, subject: str, progress: Progress | None, grace: int | None) -> None:
        """Remove the entry at `path` once it says how long its application gets to end."""
        if grace is not None:
            held = await self.session.get(path, "config")
            if held is not None and held.get("graceful-timeout") != grace:
                edit = DataEdit(path, "merge", {"graceful-timeout": grace})
                with contextlib.suppress(RpcError):  # what does not take it in ends all the same
                    await self._carry_out(edit, subject, ("configure",), None)
        await self._carry_out(DataEdit(path, "remove"), subject, ("terminate",), progress)

    async def _transfer_context(self, path: str, subject: str, target: Mapping[str, Any]) -> None:
        """Have the context of users go from the entry at `path` to `target` (members of mec-types:context-target)."""
        edit = DataEdit(path, "merge", {"user-context-transfer": dict(target)})
        # What stands between us and the block calls it a change like any other.
        await self._carry_out(edit, subject, ("transfer-context", "configure"), None)

    async def _settle(self, path: str, settled: Callable[[Members], bool]) -> Members:
        """Wait until the state of the entry at `path` is as wished; for what has no operation occurrences."""
        async with self._events() as events:
            while True:
                members = await self.session.get(path)
                if members is None:
                    raise RpcError("data-missing", f"{path} was removed while it was waited for")
                state = members.get("state", {})
                if "error" in state:
                    raise _error(state["error"])
                if settled(state):
                    return members
                await events.next()


def _error(members: Mapping[str, str]) -> RpcError:
    return Occurrence("", state="failed", error=members).failure()
