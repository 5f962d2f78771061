"""Operation occurrences (ETSI GS MEC 010-2, clause 6.2.3): what is happening, why, and what can be done about it.

An occurrence is a durable entry; its operation is a table of steps.  Every step and its undoing are idempotent and find
what they need in the datastore or at the other side; so a cancelled or failed operation is undone in reverse, and
after a restart of the daemon an unfinished one begins again at its first step.  Work about one subject runs one after
the other; what ends the subject cancels what is under way.  It must not know what any step does.

    STARTING -> PROCESSING -> COMPLETED
                           -> FAILED (undone)          CANCELLED (undone, on request)
                           -> FAILED_TEMP -> retry -> PROCESSING
                                          -> fail, cancel -> FAILED, CANCELLED
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from nms.errors import RpcError, RpcErrors
from nms.mec.occurrence import OCCURRENCE_CHANGED, TEMPORARY, Occurrence, plain
from nms.mec.publisher import Publisher
from nms.mec.scope import Intent, Scope
from nms.mec.session import Members

_log = logging.getLogger(__name__)

#: How many ended occurrences each scope remembers.
REMEMBERED = 50
ENDED = frozenset({"completed", "failed", "cancelled"})
#: Operations that end their subject.
ENDING = frozenset({"terminate", "delete-package"})


@dataclass(eq=False, slots=True)
class Run:
    """One operation occurrence at work.

    Attributes:
        wanted: configuration of the subject's entry; {} when the entry is gone.
        held: the entry with its state before it was removed; {} when that is not known any more.
        memo: what one step leaves for the next; gone after a restart.
        about: type and identifier of another subject that this one is a wish about; ("", ""): none.
    """

    scope: Scope
    operation: str
    subject: str
    subject_type: str
    wanted: Members
    held: Members
    start_time: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    state: str = "starting"
    progress: int = 0
    step: str = ""
    reasons: list[str] = field(default_factory=list)
    error: Mapping[str, str] = field(default_factory=dict)
    cancelled: bool = False
    undoing: bool = False
    memo: dict[str, Any] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None
    share: tuple[int, int] = (0, 100)
    report: Callable[[], None] = lambda: None
    about: tuple[str, str] = ("", "")

    @property
    def key(self) -> tuple[str, str, str]:
        """What is worked on, among what there is in all scopes: the subject, or what the subject is a wish about."""
        kind, name = self.about if self.about[1] else (self.subject_type, self.subject)
        return self.scope.base, kind, name

    @property
    def entry(self) -> str:
        """Instance-identifier of the subject."""
        return f"{self.scope.base}/{self.subject_type}[id='{self.subject}']"

    def within(self, inner: Occurrence | int) -> None:
        """The running step has come so far (percent), or as far as the occurrence that it follows."""
        percent = inner if isinstance(inner, int) else inner.progress
        low, high = self.share
        progress = low + (high - low) * percent // 100
        # A step may follow several occurrences; what is shown never goes back.
        if progress > self.progress:
            self.progress = progress
            self.report()


Work: TypeAlias = Callable[[Run], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Step:
    """One step: `name` says in a few words what will be so when it is done."""

    name: str
    do: Work
    undo: Work | None = None


Procedures: TypeAlias = Mapping[tuple[str, str], Sequence[Step]]


def _after(steps: Sequence[Step], name: str) -> Sequence[Step]:
    """The steps that follow the one of that name."""
    names = [step.name for step in steps]
    return steps[names.index(name) + 1 :] if name in names else steps


def reverse(steps: Sequence[Step]) -> Sequence[Step]:
    """The operation that undoes `steps`."""
    return [Step(f"undone: {step.name}", step.undo) for step in reversed(steps) if step.undo is not None]


class LifeCycle:
    """The operation occurrences of one block.

    Args:
        base: schema path of the container or list that holds operation-occurrence, of the domain and under agreements.
        procedures: the steps by (subject type, operation).
        ended: told of each occurrence that has ended or waits for a decision, before that can be seen.
        about: subject type of wishes -> type of what they are about, which is the name of the leaf that says which.
    """

    def __init__(
        self,
        publisher: Publisher,
        bases: Sequence[str],
        procedures: Procedures,
        ended: Callable[[Run], None],
        concerns: Callable[[Scope], bool] = lambda scope: True,
        *,
        recorded: bool = True,
        about: Mapping[str, str] | None = None,
    ) -> None:
        self._publisher = publisher
        self._recorded = recorded
        self._bases = bases if recorded else ()
        self._procedures = procedures
        self._ended = ended
        self._concerns = concerns
        self._about = about or {}
        self._loop = asyncio.get_running_loop()
        self._runs: dict[str, Run] = {}
        self._tails: dict[tuple[str, str, str], Run] = {}
        self._closing = False

    # -- from commits, in any thread

    def begin(self, intent: Intent, operation: str) -> Run:
        """Have `operation` done about the subject of `intent`; visible at once, carried out in the event loop."""
        run = Run(
            intent.scope,
            operation,
            intent.id,
            intent.list,
            intent.new or {},
            intent.held or {},
            self._publisher.now(),
            about=self._wished_about(intent.list, intent.new or {}),
        )
        self._publish(run)
        self._loop.call_soon_threadsafe(self._enqueue, run)
        return run

    def act(self, scope: Scope, occurrence: str, action: str) -> None:
        """Cancel, retry or fail (the actions of operation-occurrence).

        Raises:
            RpcError: operation-failed; the occurrence is in no state for that.
        """
        run = self._runs.get(occurrence)
        state = "ended" if run is None else run.state
        allowed = ("starting", "processing", "failed-temp") if action == "cancel" else ("failed-temp",)
        if run is None or run.scope != scope or state not in allowed:
            raise RpcError("operation-failed", f"an occurrence that is {state} cannot be told to {action}", status=409)
        self._loop.call_soon_threadsafe(self._decide, run, action)

    # -- in the event loop

    def busy(self, scope: Scope, subject_type: str, subject: str) -> bool:
        """Whether work about a subject is under way or waits."""
        return any(run.key == (scope.base, subject_type, subject) for run in self._runs.values())

    def works(self, scope: Scope, subject_type: str, subject: str) -> bool:
        """Whether something that was asked for by that subject is under way or waits."""
        asked = (scope, subject_type, subject)
        return any((run.scope, run.subject_type, run.subject) == asked for run in self._runs.values())

    def _wished_about(self, subject_type: str, wanted: Members) -> tuple[str, str]:
        kind = self._about.get(subject_type, "")
        return kind, wanted.get(kind, "")

    def resume(self) -> None:
        """Take up what an earlier process of the daemon has left unfinished, oldest first."""
        left: list[Run] = []
        for base in self._bases:
            for scope in self._publisher.scopes(base):
                if self._concerns(scope):
                    entries = self._publisher.entries(f"{scope.base}/operation-occurrence")
                    left += [self._revived(scope, each) for each in entries if plain(each["state"]) not in ENDED]
        for run in sorted(left, key=lambda each: each.start_time):
            self._runs[run.id] = run
            if run.state == "failed-temp":
                continue
            if (run.subject_type, run.operation) not in self._procedures:
                self._set(run, "failed-temp", _failure("operation-failed", "nobody here can carry it out any more"))
            else:
                self._enqueue(run)

    def _revived(self, scope: Scope, entry: Members) -> Run:
        kind, subject = entry["subject-type"], entry["subject"]
        wanted = self._publisher.read(f"{scope.base}/{kind}[id='{subject}']", config=True)
        run = Run(scope, plain(entry["operation"]), subject, kind, wanted or {}, {}, entry["start-time"], entry["id"])
        run.state, run.error = plain(entry["state"]), entry.get("error", {})
        run.about = self._wished_about(kind, run.wanted)
        run.progress, run.step, run.reasons = entry.get("progress", 0), entry.get("step", ""), entry.get("reason", [])
        return run

    def stop(self) -> None:
        """From now on nothing begins, and what breaks stays unfinished, to be resumed."""
        self._closing = True

    async def close(self) -> None:
        """Stop working; what is unfinished stays so, to be resumed."""
        self.stop()
        tasks = [run.task for run in self._runs.values() if run.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def idle(self, scope: Scope, subject_type: str) -> None:
        """Wait until nothing is under way about any subject of that type in a scope."""

        def under_way() -> list[asyncio.Task[None]]:
            runs = [run for run in self._runs.values() if (run.scope, run.subject_type) == (scope, subject_type)]
            return [run.task for run in runs if run.task is not None and not run.task.done()]

        while tasks := under_way():
            await asyncio.wait(tasks)

    def _enqueue(self, run: Run) -> None:
        if self._closing:
            return
        before = self._tails.get(run.key)
        self._tails[run.key] = self._runs[run.id] = run
        if before is not None and run.operation in ENDING:
            self._decide(before, "cancel")
        run.task = self._loop.create_task(self._turn(run, before))

    async def _turn(self, run: Run, before: Run | None) -> None:
        if before is not None and before.task is not None:
            await asyncio.wait([before.task])
        if not self._closing:
            await self._process(run)

    def _decide(self, run: Run, action: str) -> None:
        """Carry out an action; the state was right when it was asked for, and is looked at again."""
        waiting = run.state == "failed-temp"
        if action == "cancel" and run.state in ("starting", "processing") and run.task is not None:
            run.cancelled = True
            self._publish(run)
            # A cancelled task that has not begun would never say so; one that undoes already does what is asked.
            if run.state == "processing" and not run.undoing:
                run.task.cancel()
        elif waiting and action == "retry":
            run.error = {}
            run.task = self._loop.create_task(self._process(run))
        elif waiting:
            run.cancelled = action == "cancel"
            run.task = self._loop.create_task(self._give_up(run, self._steps(run), dict(run.error)))

    def _steps(self, run: Run) -> Sequence[Step]:
        return self._procedures[run.subject_type, run.operation]

    async def _process(self, run: Run) -> None:
        steps = self._steps(run)
        begun: list[Step] = []
        try:
            if run.cancelled:
                raise asyncio.CancelledError
            run.report = lambda: self._publish(run, durable=False)
            self._set(run, "processing", {})
            for number, step in enumerate(steps):
                run.share = (100 * number // len(steps), 100 * (number + 1) // len(steps))
                run.progress, run.step = run.share[0], step.name
                self._publish(run, durable=False)
                begun.append(step)
                await step.do(run)
            run.progress = 100
            self._set(run, "completed", {})
        except asyncio.CancelledError:
            if self._closing or not run.cancelled:
                raise
            await self._give_up(run, begun, {})
        except (RpcError, RpcErrors) as error:
            if self._closing:
                return
            failure = _failure_of(error)
            if isinstance(error, RpcError) and error.app_tag == TEMPORARY:
                self._set(run, "failed-temp", failure)
            else:
                await self._give_up(run, begun, failure)
        except Exception as error:  # noqa: BLE001 - a mistake in a step must end the occurrence, not hang who follows it
            _log.exception("%s of %s: step %r", run.operation, run.subject, run.step)
            await self._give_up(run, begun, _failure("operation-failed", f"internal error: {error!r}"))

    async def _give_up(self, run: Run, begun: Sequence[Step], failure: dict[str, str]) -> None:
        """Undo in reverse; what cannot be undone is said, and does not keep the rest from being undone.

        What was to end its subject goes on instead: that is gone, and nobody would ever ask for the other steps.
        """
        run.undoing = True
        left: list[str] = []
        if run.operation in ENDING:
            ahead = [(step, step.do) for step in _after(self._steps(run), run.step)]
        else:
            ahead = [(step, step.undo) for step in reversed(begun) if step.undo is not None]
        for step, act in ahead:
            try:
                await act(run)
            except RpcError as error:
                left.append(f"{step.name}: {error.message}")
            except Exception as error:  # noqa: BLE001 - as above
                _log.exception("undoing %s of %s: step %r", run.operation, run.subject, step.name)
                left.append(f"{step.name}: internal error: {error!r}")
        if left:
            failure = failure or _failure("operation-failed", "cancelled")
            failure["detail"] = f"{failure.get('detail', '')}; not undone: {'; '.join(left)}"
        self._set(run, "cancelled" if run.cancelled else "failed", failure)

    # -- what is seen

    def _set(self, run: Run, state: str, error: Mapping[str, str]) -> None:
        run.state, run.error = state, error
        if state in ENDED or state == "failed-temp":
            self._ended(run)
        self._publish(run)
        if state in ENDED:
            self._runs.pop(run.id, None)
            if self._tails.get(run.key) is run:
                del self._tails[run.key]
            self._forget(run.scope)

    def _publish(self, run: Run, *, durable: bool = True) -> None:
        if not self._recorded:
            return
        now = self._publisher.now()
        seen = {
            "operation": f"mec-types:{run.operation}",
            "subject": run.subject,
            "subject-type": run.subject_type,
            "state": f"mec-types:{run.state}",
            "progress": run.progress,
            "state-entered-time": now,
            **({"step": run.step} if run.step else {}),
            **({"error": dict(run.error)} if run.error else {}),
        }
        entry = {
            **seen,
            "start-time": run.start_time,
            "cancel-pending": run.cancelled and run.state not in ENDED,
            **({"reason": run.reasons} if run.reasons else {}),
        }
        path = f"{run.scope.base}/operation-occurrence[id='{run.id}']"
        if self._publisher.state(path, entry, durable=durable):
            self._publisher.notify(run.scope, OCCURRENCE_CHANGED, {"occurrence": run.id, **seen})

    def _forget(self, scope: Scope) -> None:
        if not self._recorded:
            return
        entries = self._publisher.entries(f"{scope.base}/operation-occurrence")
        ended = sorted((each["start-time"], each["id"]) for each in entries if plain(each["state"]) in ENDED)
        for _, old in ended[:-REMEMBERED]:
            self._publisher.state(f"{scope.base}/operation-occurrence[id='{old}']", None)


def _failure(tag: str, detail: str) -> dict[str, str]:
    return {"error-tag": tag, "detail": detail}


def _failure_of(error: RpcError | RpcErrors) -> dict[str, str]:
    if isinstance(error, RpcErrors):
        return _failure(error.errors[0].tag, "; ".join(each.message for each in error.errors))
    return _failure(error.tag, error.message)
