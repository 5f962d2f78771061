"""The partners of this domain: provider of ``/mec-federation:federation/partner`` and keeper of the agreements' states.

A commit that touches partners is checked here (`nms.federation.terms`); what follows from it (sessions, access rules,
states, withdrawal) is worked out afterwards in the event loop, always from the configuration as it then is, so that a
restart or a lost step does no harm.  Paper sections 4.1, 4.2.1 and 5.4; ETSI GS MEC 040.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import cast

from nms.datastore.transaction import Transaction
from nms.errors import RpcError, RpcErrors
from nms.federation import terms
from nms.federation.adaptor import RemoteSession
from nms.federation.agreement import Admin, State, Terms, judge
from nms.federation.farewell import remove_all, say_farewell
from nms.federation.gate import Gate
from nms.federation.identity import PARTNERS, partners, user_of
from nms.federation.link import Link, entries_of
from nms.federation.options import option_of
from nms.federation.orphans import Orphans
from nms.federation.standing import OWN, Standing
from nms.federation.written import Written
from nms.federation.zones import Zones, lodged
from nms.mec.occurrence import plain
from nms.mec.publisher import Publisher
from nms.mec.requested import at_partner
from nms.mec.scope import agreement_path
from nms.mec.session import RESYNC, Core, DataEdit, LocalSession, Members
from nms.model.diff import Change

log = logging.getLogger(__name__)

#: Seconds after which what has crossed a boundary is shown.
_SHOWN_AFTER = 0.2

#: Notifications after which the partner's entry is read again.
_TELLING = (
    RESYNC,
    "mec-federation:federation-state-changed",
    "mec-federation:platform-instance-changed",
    "mec-system:package-changed",
)

#: Makes the session of an agreement: (partner's entry, agreement's entry) -> session.
Connect = Callable[[Members, Members], RemoteSession]


class Partners:
    """All partners of one domain.  Made, and closed, in the event loop.

    Args:
        own: identifier of this domain.
        core: this domain's own.
        blocks: that this domain runs.
        gate: keeps access rules and open sessions in step.
        local_users: names that no partner may log in as.
        packages: URI of the folder that our packages are served in; "" where none are.
        interval: seconds between two looks at a partner that tells nothing.
        farewell: seconds for which a removed partner is asked to give back what we have there.
    """

    paths: tuple[str, ...] = (PARTNERS, *Gate.paths)

    def __init__(
        self,
        publisher: Publisher,
        own: str,
        core: Core,
        connect: Connect,
        gate: Gate,
        blocks: Collection[str],
        local_users: frozenset[str] = frozenset(),
        packages: str = "",
        *,
        interval: float = 5.0,
        farewell: float = 10.0,
    ) -> None:
        self.links: dict[tuple[str, str], Link] = {}
        self.publisher = publisher
        self.orphans = Orphans(publisher, self.links)
        self.zones = Zones(publisher, self.links, self.orphans, packages)
        self._standing = Standing(publisher)
        self._own = own
        self._core = core
        self._gate = gate
        self._blocks = blocks
        self._connect = connect
        self._local_users = local_users
        self._interval = interval
        self._farewell = farewell
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._entries: dict[tuple[str, str], tuple[Members, Members]] = {}
        self._unshown: set[tuple[str, str]] = set()
        self._partings: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin with what is configured: every agreement has its `Mx3` when this returns, reached or not."""
        await self._follow_up()
        self._strays()
        self.orphans.start()
        self._task = self._loop.create_task(self._keep())

    # ------------------------------------------------------------ provider

    def prepare(self, changes: Sequence[Change], tx: Transaction) -> None:
        """Refuse a federation with somebody who is known already, or cannot be told from others."""
        after = partners(self.publisher.store, tx.new)
        known = {partner["id"]: partner for partner in partners(self.publisher.store, tx.old)}
        for partner in after:
            if known.get(partner["id"]) != partner:
                others = [other for other in after if other["id"] != partner["id"]]
                terms.check_partner(partner, others, self._local_users)

    def abort(self, tx: Transaction) -> None:
        """Nothing was reserved: the configuration itself is the reservation."""

    def apply(self, changes: Sequence[Change], tx: Transaction) -> None:
        """Have the consequences worked out."""
        self.wake()

    def wake(self) -> None:
        """Look at the configuration again.  Any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to look
            self._loop.call_soon_threadsafe(self._changed.set)

    # ------------------------------------------------------------ what others ask

    def partner(self, id: str) -> Members | None:
        """A partner's entry."""
        return next((each for each in partners(self.publisher.store) if each["id"] == id), None)

    def state(self, partner: str, agreement: str) -> State:
        """The agreement's state now."""
        return self._standing.state_of(partner, agreement)

    def agreed_zones(self, partner: str, agreement: str) -> frozenset[str]:
        """Zones that are both offered by the one side and accepted by the other, as far as is known."""
        link, entry = self.links.get((partner, agreement)), self._entries.get((partner, agreement))
        if link is None or entry is None:
            return frozenset()
        zones = entry[1].get("zone", ())
        offered = frozenset(zone["id"] for zone in zones if zone.get("offered", True))
        accepted = frozenset(zone["id"] for zone in zones if zone.get("accepted", False))
        theirs = link.accepted() if entry[1]["role"] == "provider" else accepted & link.offered()
        return offered & theirs

    def given(self, partner: str, digest: str) -> bool:
        """Was the package with this digest passed to the partner under an agreement that is active?"""
        for key, link in list(self.links.items()):
            if key[0] == partner and self.state(*key) == "active":
                if digest in link.session.passed:
                    return True
                held = (entry for container in link.served for entry in _contents(link.subtree(container)))
                if any(entry.get("digest") == digest for entry in held):
                    return True
        return False

    def knock(self, user: str) -> None:
        """A user has logged in: a partner that comes is a partner that can be reached.  Any thread."""
        for partner in {partner["id"] for partner, _ in list(self._entries.values()) if user_of(partner) == user}:
            self.called(partner)
        if self._gate.stray(user):
            self.wake()

    def called(self, partner: str) -> None:
        """A partner can be reached.  Any thread."""
        for key, link in list(self.links.items()):
            if key[0] == partner and not link.session.established:
                link.session.reconnect()

    # ------------------------------------------------------------ following the configuration

    async def _keep(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._follow_up()

    async def _follow_up(self) -> None:
        try:
            await self._follow()
        except Exception:  # one partner's entry, or a lock that somebody holds, must not end the upkeep of all
            log.exception("the partners' entries could not be followed; trying again")
            self._loop.call_later(1.0, self._changed.set)

    async def _follow(self) -> None:
        """Make rules and sessions what the configuration says."""
        configured = partners(self.publisher.store)
        await self._gate.keep(configured)
        entries = {
            (partner["id"], agreement["id"]): (partner, agreement)
            for partner in configured
            for agreement in partner.get("agreement", ())
        }
        gone = [key for key in self._entries if key not in entries]
        moved = [key for key in self.links if key in entries and self._moved(key, entries[key])]
        for key in gone:
            self._part(self.links.pop(key))
            self._standing.forget(*key, last=all(other[0] != key[0] for other in entries))
        leaving = [self.links.pop(key) for key in moved]
        self._entries = entries
        came = [key for key in entries if key not in self.links]
        for key, entry in entries.items():
            if key in came:
                self._join(key, *entry)
            else:
                self.links[key].ours = entry[1]
                self.links[key].wake.set()
        await self._end(*leaving)  # only now: an agreement without a link is one that is gone
        if gone or came:
            self.zones.changed()
        self.zones.look()

    def _moved(self, key: tuple[str, str], entry: tuple[Members, Members]) -> bool:
        """Has what the session was made of changed?"""
        (old, agreed), (new, wanted) = self._entries[key], entry
        return any(
            old.get(name) != new.get(name) for name in ("endpoint", "local-user", "session-protocol", "calls-home")
        ) or any(agreed[name] != wanted[name] for name in ("boundary-option", "role"))

    def _join(self, key: tuple[str, str], partner: Members, agreement: Members) -> None:
        session = self._connect(partner, agreement)
        link = Link(
            key,
            self._own,
            agreement["role"],
            option_of(agreement["boundary-option"]),
            session,
            Written(self.publisher, key),
            lambda: self._crossed(key),
            agreement,
            "mep" in self._blocks,
        )
        link.session.watch(lambda name, members: self._told(link, name, members))
        self.links[key] = link
        link.task = self._loop.create_task(self._attend(link))

    def _crossed(self, key: tuple[str, str]) -> None:
        """Have what has crossed shown soon, however much it is."""
        if key not in self._unshown:
            self._unshown.add(key)
            self._loop.call_later(_SHOWN_AFTER, self._show_session, key)

    def _show_session(self, key: tuple[str, str]) -> None:
        self._unshown.discard(key)
        if (link := self.links.get(key)) is not None:
            self._standing.session(link)

    def _told(self, link: Link, name: str, members: Members) -> None:
        link.traffic.told(name, members)
        if name in _TELLING:
            link.wake.set()

    # ------------------------------------------------------------ one agreement

    async def _attend(self, link: Link) -> None:
        """Keep looking at the partner, and do what follows."""
        while True:
            link.wake.clear()
            try:
                await link.learn(self.publisher.schema)
                await self._settle(link)
            except (RpcError, RpcErrors) as error:
                log.warning("agreement %s with %s: %s", link.id[1], link.id[0], error)
            except Exception:  # what one partner sends must not end the upkeep of its agreement
                log.exception("agreement %s with %s", link.id[1], link.id[0])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval if link.reachable else min(1.0, self._interval)):
                    await link.wake.wait()

    async def _settle(self, link: Link) -> None:
        """Judge the agreement with what is known now, and act on the verdict."""
        if link.id not in self._entries:
            return  # removed while the partner was being asked
        partner, agreement = self._entries[link.id]
        self._standing.partner(link, partner)
        unsupported = link.option.missing(link.role, self._blocks)
        accepted = partner.get("descriptor", {}).get("accepted-digest", "")
        live = self._live(link, agreement)
        known = link.known(accepted, unsupported, live)
        verdict = judge(self.state(*link.id), self._terms(link, agreement), known, self.publisher.store.clock())
        self._standing.state(link.id, verdict.state, verdict.reason)
        self._standing.session(link)
        if agreement["role"] == "provider":
            await self._note_acceptance(link, agreement)
        over = verdict.state == "expired" and live > 0
        text = f"agreement {link.id[1]} with {link.id[0]} is over and {live} live under it: prolong or terminate it"
        self.publisher.alarm(OWN, "/".join(link.id), "agreement-expired-alarm", "major", text, cleared=not over)
        if verdict.state == "terminating":
            await self._withdraw(link, agreement)
        self.zones.look()
        if link.reachable:
            await self.orphans.ask(link)

    async def _note_acceptance(self, link: Link, agreement: Members) -> None:
        """Write down in the provider's entry which zones the consumer has accepted."""
        if link.theirs is None or not link.reachable:
            return
        accepted = link.accepted()
        edits = [
            DataEdit(f"/zone[id='{zone['id']}']", "merge", {"accepted": zone["id"] in accepted})
            for zone in agreement.get("zone", ())
            if zone.get("offered", True) and zone.get("accepted", False) != (zone["id"] in accepted)
        ]
        if edits:
            here = LocalSession(self._core, agreement_path(*link.id))
            try:
                await here.edit(edits)
            finally:
                here.close()

    def _terms(self, link: Link, agreement: Members) -> Terms:
        grace = agreement.get("grace-period")
        return Terms(
            role=agreement["role"],
            option=plain(agreement["boundary-option"]),
            admin=cast(Admin, agreement.get("admin-state", "enabled")),
            begin=_time(agreement.get("valid-from")),
            until=_time(agreement.get("valid-until")),
            grace=None if grace is None else timedelta(seconds=int(grace)),
            zones=self.agreed_zones(*link.id),
        )

    def _live(self, link: Link, agreement: Members) -> int:
        """Entries under the agreement: the partner's here, and ours there as far as is known."""
        return len(entries_of(agreement, link.option.served(link.role))) + len(link.held())

    async def _withdraw(self, link: Link, agreement: Members) -> None:
        """Remove what the partner has here and what we have there; what resists is tried again at the next look."""
        here = LocalSession(self._core, agreement_path(*link.id))
        try:
            await remove_all(here, await here.get("", "config") or {}, link.option.served(link.role))
        finally:
            here.close()
        if link.reachable:
            await remove_all(link.session, link.theirs or {}, link.served)
        self._loop.call_later(0.3, link.wake.set)

    # ------------------------------------------------------------ the end

    def _part(self, link: Link) -> None:
        """The agreement's entry is gone: what we have at the partner is given back, or stays listed as orphans."""
        _, agreement = self._entries[link.id]
        asked = at_partner(agreement)  # perhaps since the last look at the partner
        subjects = sorted({*self.zones.parts(*link.id, link.served), *lodged(agreement), *link.held(), *asked})
        for name, subject in subjects:
            self.orphans.note(*link.id, name, subject, "the agreement was removed")
        if link.task is not None:
            link.task.cancel()
        farewell = self._loop.create_task(say_farewell(link, subjects, self.orphans, self._farewell))
        farewell.add_done_callback(lambda _: link.session.close())  # also of one that is cancelled before it begins
        for task in filter(None, (link.task, farewell)):
            self._partings.add(task)
            task.add_done_callback(self._partings.discard)

    def _strays(self) -> None:
        """List what we have under agreements that were removed just before an earlier process of the daemon died."""
        for key in self.zones.carriers() - set(self._entries):
            for name, subject in self.zones.parts(*key):
                self.orphans.record(*key, name, subject, "the agreement was removed")

    async def _end(self, *links: Link) -> None:
        """End sessions and what attends to them; all have been told to before this waits for any."""
        tasks = [link.task for link in links if link.task is not None]
        for link in links:
            link.session.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """End all sessions; agreements stay what they are."""
        tasks = [task for task in (self._task, *self._partings) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._end(*self.links.values())
        self._gate.close()


def _contents(subtree: Members) -> Iterator[Members]:
    """What in a partner's subtree was made of a content of ours."""
    for name in ("package", "image"):
        yield from subtree.get(name, ())


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
