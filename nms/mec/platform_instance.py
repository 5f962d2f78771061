"""Instances of this domain's platform on partners' infrastructure (paper, table 3, option 2: "as VM on Domain A").

Under each agreement that wishes for one an image is handed to the partner, a compute instance of it is kept running
there, and it is told what the platform keeps for the partner's applications.  What is wished is compared with what is
there, again and again, so that a loss is repaired and a restart takes up what it finds.  An instance that does not
serve raises an alarm, and the partner is told.  It must not know what applications ask (`nms.mec.platform_relay`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from nms.errors import RpcError, RpcErrors
from nms.mec import agreed
from nms.mec.listener import Listener
from nms.mec.mep import PLATFORMS
from nms.mec.occurrence import plain, terminated
from nms.mec.package_store import PackageStore
from nms.mec.partners import Partners
from nms.mec.platform_channel import Channel
from nms.mec.platform_image import COMMAND, PORT, PlatformImage, image
from nms.mec.platform_relay import Relay
from nms.mec.publisher import Publisher
from nms.mec.reference_points import Mp2Compute
from nms.mec.scope import Scope
from nms.mec.session import ManagementSession, Members, Watch
from nms.mec.vim import CHANGED as RESOURCE_CHANGED
from nms.mec.windows import AGREEMENT

log = logging.getLogger(__name__)

#: What the image and the compute instance are called under the agreement, and the port that applications use.
NAME: Final = "platform"
MP1: Final = "mp1"
CHANGED: Final = "mec-federation:platform-instance-changed"
ALARM: Final = "platform-unavailable-alarm"
#: What it takes where the wish does not say.
_AMOUNTS: Final[Mapping[str, Any]] = {"cpu": "0.25", "memory": "64", "storage": "8"}
_OPTION: Final = "option-platform-consumer-infrastructure"
#: Seconds between two looks at what nothing has been told of; the longest between two attempts that fail.
_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 10.0
#: Seconds for which an instance is waited on that asks for nothing.
_TURN: Final = 5.0
#: So often may an instance that is said to run not answer until it is started anew.
_PATIENCE: Final = 3


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept here of instances.

    Attributes:
        content: images, for the partners to pull.
        folder: secrets; one folder below it for each agreement under which the partner may have something of ours.
        domain: this domain's identifier.
    """

    content: PackageStore
    folder: Path
    domain: str


class PlatformInstances:
    """Keeps one for each agreement that wishes for it.

    Args:
        platform: the platform's own scope, `session` is on it and tells what becomes of applications and services.
        relay: made for an agreement's scope.
    """

    def __init__(
        self,
        publisher: Publisher,
        platform: Scope,
        session: ManagementSession,
        partners: Partners,
        kept: Kept,
        relay: Callable[[Scope], Relay],
    ) -> None:
        self._publisher = publisher
        self._platform = platform
        self._session = session
        self._partners = partners
        self._kept = kept
        self._relay = relay
        self._loop = asyncio.get_running_loop()
        self._instances: dict[Scope, tuple[_Instance, asyncio.Task[None]]] = {}
        self._stale = asyncio.Event()
        self.provider = Listener(self._wake, (AGREEMENT, f"{PLATFORMS}/application", f"{PLATFORMS}/service"))

    def _wake(self) -> None:
        self._loop.call_soon_threadsafe(self._stale.set)

    async def start(self) -> None:
        """Take up what is there, and follow."""
        self._watch = self._session.watch(lambda name, members: self._stale.set())
        self._following = self._loop.create_task(self._follow())
        self._stale.set()

    async def close(self) -> None:
        """Let go; the instances run on."""
        self._watch.close()
        tasks = [self._following, *(task for _, task in self._instances.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            await self._stale.wait()
            self._stale.clear()
            agreements = set(self._publisher.scopes(AGREEMENT))
            for scope in self._instances.keys() - agreements:
                await self._forget(scope)
            for scope in agreements:
                place = self._kept.folder / Scope(scope.agreement_path).inner(NAME)
                if scope in self._instances:
                    self._instances[scope][0].wake.set()
                elif _wished(self._publisher, scope) is not None or place.is_dir():
                    instance = _Instance(
                        self._publisher, self._platform, self._partners, replace(self._kept, folder=place), scope,
                        self._relay(scope),
                    )  # fmt: skip
                    self._instances[scope] = instance, self._loop.create_task(instance.keep())

    async def _forget(self, scope: Scope) -> None:
        """The agreement is gone: the federation gives back, or lists as orphans, what we have at the partner."""
        instance, task = self._instances.pop(scope)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        try:
            instance.clear("the agreement is gone")
        except (RpcError, OSError) as error:  # a full or broken disk
            log.warning("what is kept of the platform at %s stays: %s", scope.partner, error)


class _Instance:
    """The one under an agreement; `kept.folder` is its own."""

    def __init__(
        self, publisher: Publisher, platform: Scope, partners: Partners, kept: Kept, scope: Scope, relay: Relay
    ) -> None:
        self._publisher = publisher
        self._platform = platform
        self._partners = partners
        self._kept = kept
        self._scope = scope
        self._relay = relay
        self._unanswered = 0
        #: Of the certificate that the instance shows.
        self._fingerprint = ""
        self._shown: Members = {}
        self._watching: tuple[Mp2Compute, Watch] | None = None
        #: Something may have changed.
        self.wake = asyncio.Event()

    async def keep(self) -> None:
        """Have what is wished, as long as the agreement is there."""
        pause = _PAUSE
        try:
            while True:
                self.wake.clear()
                try:
                    await self._align()
                    pause = _PAUSE
                except (RpcError, RpcErrors, OSError) as error:
                    self._down(error)
                    pause = min(2 * pause, _LONGEST_PAUSE)
                except Exception:  # what one partner's infrastructure says must not end the upkeep of what is there
                    log.exception("platform's instance at %s", self._scope.partner)
                with contextlib.suppress(TimeoutError):
                    # `wait_for` forgets a cancellation that comes together with what is waited for (Python 3.11)
                    async with asyncio.timeout(pause):
                        await self.wake.wait()
        finally:
            self._listen(None)

    def clear(self, why: str) -> None:
        """Nothing of it is at the partner any more, or somebody else sees to that."""
        if not self._kept.folder.is_dir() and not self._shown:
            return
        if self._kept.folder.is_dir():
            self._kept.content.remove(self._image().digest)
            shutil.rmtree(self._kept.folder)
        self._publisher.state(f"{self._scope.base}/platform-instance/state", None, durable=False)
        self._shown = {}
        self._alarm(why, cleared=True)

    def _image(self) -> PlatformImage:
        return image(self._kept.folder, self._kept.domain, self._publisher.store.clock())

    def _point(self) -> Mp2Compute:
        """To the partner; it is listened to, whichever session it is now.  Raises `RpcError`: data-missing."""
        point = self._partners.point(Mp2Compute, self._scope.partner, self._scope.agreement)
        if self._watching is None or self._watching[0] is not point:
            self._listen(point)
        return point

    def _listen(self, point: Mp2Compute | None) -> None:
        if self._watching is not None:
            self._watching[1].close()
        self._watching = None if point is None else (point, point.watch(self._told))

    def _agreed(self) -> bool:
        """Whether the agreement lets live what there is; whether something new may come is the partner's to say."""
        return self._state() in ("active", "suspended", "expired")

    def _state(self) -> str:
        return plain((self._publisher.read(f"{self._scope.base}/state") or {}).get("federation-state", ""))

    def _told(self, name: str, members: Members) -> None:
        """The partner has said something of our compute instance."""
        if (name == RESOURCE_CHANGED and members.get("resource") == NAME) or terminated(name, members):
            self.wake.set()

    async def _align(self) -> None:
        wished = _wished(self._publisher, self._scope)
        if self._state() in ("terminating", "terminated"):  # the federation withdraws what there is
            self.clear("the agreement is over")
        elif wished is None:
            if self._kept.folder.is_dir():
                await self._withdraw()
        elif self._agreed():
            await self._serve(wished)

    # -- what stands at the partner

    async def _serve(self, wished: Members) -> None:
        """Have it run and serve until something changes.  Raises `RpcError`: it does not."""
        made = await asyncio.to_thread(self._image)
        compute = await self._instantiated(made, wished)
        address = next(iter(compute.get("address", ())), "")
        channel, self._fingerprint = Channel(address, PORT, made.context), made.fingerprint
        try:
            await self._converse(channel, compute)
        except RpcError as error:
            self._unanswered += 1
            if error.type != "transport" or self._unanswered < _PATIENCE:
                raise
            self._unanswered = 0
            self._down(error)
            await self._restart()

    async def _instantiated(self, made: PlatformImage, wished: Members) -> Members:
        """State of the compute instance, which runs."""
        point, digest = self._point(), made.digest
        held = await point.compute_instance(NAME)
        wish = self._compute(made, wished, (held or {}).get("zone", ""))
        if held is not None and _differs(held, wish):
            await point.release(NAME)
            held = None
        shown = await point.image(NAME)
        if shown is not None and shown["digest"] != digest:
            await point.remove_image(NAME)
            self._kept.content.remove(shown["digest"])
            shown = None
        if shown is None or plain(shown.get("state", {}).get("state", "")) != "onboarded":
            if digest not in self._kept.content:
                await asyncio.to_thread(self._kept.content.add, BytesIO(made.content))
            source = self._partners.source(self._scope.partner, self._scope.agreement, digest)
            await point.add_image(NAME, made.entry(source))
        if held is None:
            return await point.allocate(NAME, wish)
        state: Members = held.get("state", {})
        if plain(state.get("operational-state", "")) != "started":
            self._down(RpcError("operation-failed", state.get("error", {}).get("detail", "the instance does not run")))
            return await self._restart()
        return state

    async def _restart(self) -> Members:
        """Have the partner start it anew."""
        point = self._point()
        await point.operate(NAME, "stopped")
        return await point.operate(NAME, "started")

    def _compute(self, made: PlatformImage, wished: Members, held: str) -> Members:
        """Entry of the list compute-instance; `held` is the zone where there is one already, or ""."""
        accepted = agreed.accepted(self._publisher.read(self._scope.base, config=True) or {})
        zone = wished.get("zone") or (held if held in accepted else next(iter(accepted), ""))
        amounts = {**_AMOUNTS, **{leaf: wished[leaf] for leaf in _AMOUNTS if leaf in wished}}
        return {
            "image": NAME,
            "zone": zone,
            **amounts,
            "command": list(COMMAND),
            "port": [{"name": MP1, "port": PORT, "protocol": "mec-types:https"}],
            # Public: what applications are to compare the certificate with, and what tells one image from another.
            "environment": [
                {"name": "MEC_MP1_FINGERPRINT", "value": made.fingerprint},
                {"name": "PLATFORM_IMAGE", "value": made.digest},
            ],
        }

    async def _withdraw(self) -> None:
        """Have nothing at the partner; what cannot be withdrawn now is tried again."""
        point = self._point()
        await point.release(NAME)
        await point.remove_image(NAME)
        self.clear("it is not wished for any more")

    # -- what is said to it

    async def _converse(self, channel: Channel, compute: Members) -> None:
        """Tell it what there is and carry out what it is asked, until the wish changes.  Raises `RpcError`."""
        wished = _wished(self._publisher, self._scope)
        told = await self._tell(channel, None)
        self._unanswered = 0
        self._up(channel, compute)
        turns = asyncio.ensure_future(self._take_turns(channel))
        try:
            while not turns.done() and self._agreed() and _wished(self._publisher, self._scope) == wished:
                told = await self._tell(channel, told)
                changed = asyncio.ensure_future(self.wake.wait())
                await asyncio.wait((turns, changed), timeout=_TURN, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                self.wake.clear()
        finally:
            turns.cancel()
            ended = await asyncio.gather(turns, return_exceptions=True)
        if isinstance(ended[0], Exception):
            raise ended[0]

    async def _tell(self, channel: Channel, told: Members | None) -> Members:
        """Have it know what there is, if it does not; gives what it knows."""
        now = self._relay.platform()
        if now != told:
            await channel.put(now)
        return now

    async def _take_turns(self, channel: Channel) -> None:
        """Carry out what applications ask for, each after the other."""
        answers: list[Mapping[str, Any]] = []
        while True:
            asked = await channel.turn(answers, _TURN)
            answers = list(await asyncio.gather(*map(self._relay.carry_out, asked)))
            if answers:  # whoever has changed something finds it changed
                await self._tell(channel, None)

    # -- what is shown of it

    def _up(self, channel: Channel, compute: Members) -> None:
        shown = {"state": "mec-types:active", "uri": f"https://{channel.address}:{channel.port}/restconf"}
        if "zone" in compute:
            shown["zone"] = compute["zone"]
        access = {"uri": shown["uri"], "certificate-fingerprint": self._fingerprint}
        self._publisher.state(f"{self._scope.base}/mec-platform:platform/mp1", access, durable=False)
        self._show(shown | {"in-service-since": self._shown.get("in-service-since", self._publisher.now())})
        self._alarm("it serves again", cleared=True)

    def _down(self, error: RpcError | RpcErrors | OSError) -> None:
        first = error.errors[0] if isinstance(error, RpcErrors) else error
        tag = first.tag if isinstance(first, RpcError) else "operation-failed"
        # A disk's own words name our files.
        detail = first.message if isinstance(first, RpcError) else first.strerror or "the disk fails"
        shown = {"state": "mec-types:down", "error": {"error-tag": tag, "detail": detail}}
        if shown != self._shown:
            log.warning("platform's instance at %s: %s", self._scope.partner, detail)
            self._show(shown)
            self._alarm(detail)

    def _show(self, shown: Members) -> None:
        """Show it, and tell both sides when its state is another one."""
        before, self._shown = self._shown, shown
        if shown == before:
            return
        # After a restart it does not serve until it is found to do so.
        self._publisher.state(f"{self._scope.base}/platform-instance/state", shown, durable=False)
        if shown["state"] != before.get("state"):
            told: Members = {name: shown[name] for name in ("state", "zone", "error") if name in shown}
            self._publisher.notify(self._scope, CHANGED, told)
            whose = {"partner": self._scope.partner, "agreement": self._scope.agreement}
            self._publisher.notify(self._platform, CHANGED, whose | told)

    def _alarm(self, text: str, *, cleared: bool = False) -> None:
        partner, agreement = self._scope.partner, self._scope.agreement
        self._publisher.alarm(self._platform, f"{partner}/{agreement}", ALARM, "major", text, cleared=cleared)
        theirs = Scope(f"{self._scope.base}/mec-platform:platform", partner, agreement)
        said = "the platform serves again" if cleared else "the platform's instance does not serve"
        self._publisher.alarm(theirs, NAME, ALARM, "major", said, cleared=cleared)


def _wished(publisher: Publisher, agreement: Scope) -> Members | None:
    """The wish of an agreement in which we are the provider; None: none."""
    return wish(publisher.read(agreement.base, config=True) or {})


def wish(agreement: Members) -> Members | None:
    """What an agreement's entry, configuration, wishes for of our platform; None: nothing."""
    ours = (plain(agreement.get("boundary-option", "")), agreement.get("role")) == (_OPTION, "provider")
    return agreement.get("platform-instance") if ours else None


def _differs(held: Members, wish: Members) -> bool:
    """Whether a compute instance is another one than is wished."""
    return any(_ordered(held.get(name)) != _ordered(value) for name, value in wish.items())


def _ordered(value: Any) -> Any:
    """Entries of a list have no order."""
    return sorted(value, key=str) if isinstance(value, list) else value
