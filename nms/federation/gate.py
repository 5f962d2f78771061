"""Who of the partners is let in: access rules (RFC 8341) and open sessions follow the partners' entries at once.

The partners' rule lists stand before all others: what an operator permits to everybody is not meant for partners.  A
session of a partner whose entry is gone, or whose user, keys or certificates have changed, is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from nms.errors import RpcError
from nms.federation import identity
from nms.federation.access import PREFIX, group, group_of, rule_list
from nms.mec.session import SYSTEM, DataEdit, LocalSession, Members, to_edit, value_at
from nms.mec.session import Core as Dispatcher
from nms.model import edit as edits_of
from nms.model.edit import Edit, Insert
from nms.model.path import parse_path
from nms.operations.request import EditConfig, KillSession, Session

NACM: Final = "/ietf-netconf-acm:nacm"
_PROOFS: Final = ("user-name", "authorized-key", "client-certificate")


class Core(Dispatcher, Protocol):
    """What is asked of the core, further than by sessions."""

    @property
    def store(self) -> identity.Store: ...


class Gate:
    """Lets partners in and out.

    Args:
        sessions: those that are open now, of everybody.
    """

    #: Schema paths whose changes `keep` has to hear of.
    paths: Final = (f"{NACM}/rule-list", f"{NACM}/enable-nacm")

    def __init__(self, core: Core, sessions: Callable[[], Iterable[Session]]) -> None:
        self._core = core
        self._sessions = sessions
        self._own = core.open_session(SYSTEM, "local", "", lambda reason: None)
        self._nacm = LocalSession(core, NACM)
        self._proofs: Mapping[str, Any] = {}

    async def keep(self, configured: Sequence[Members]) -> None:
        """Make rules and open sessions what the partners' entries say.  Raises `RpcError`: somebody holds a lock."""
        edits = self._wanted(configured, await self._nacm.get("", "config") or {})
        if edits:
            await asyncio.to_thread(self._core.dispatch, self._own, EditConfig("running", edits))
        proofs = {group_of(each["id"]): [each.get(name) for name in _PROOFS] for each in configured}
        before, self._proofs = self._proofs, proofs
        for session in list(self._sessions()):
            name = _group(session)
            if name and not (self._known(session) and before.get(name, proofs.get(name)) == proofs.get(name)):
                await asyncio.to_thread(self._end, session)

    def stray(self, user: str) -> bool:
        """Has a session begun of a partner's user who was sent away since he proved who he is?  Any thread."""
        mine = [session for session in list(self._sessions()) if session.principal.name == user and _group(session)]
        return not all(map(self._known, mine))

    def _known(self, session: Session) -> bool:
        return identity.principal(self._core.store, session.principal.name) == session.principal

    def _end(self, session: Session) -> None:
        """In a thread: ending a session waits for the writer's turn."""
        if session.protocol.startswith("netconf-"):
            with contextlib.suppress(RpcError):  # it has ended meanwhile
                self._core.dispatch(self._own, KillSession(session.id))
        else:  # RESTCONF has none that one could name; its front end hangs up
            self._core.close_session(session)
            session.close("no partner any more")

    def close(self) -> None:
        """Give the sessions of the core back."""
        self._nacm.close()
        self._core.close_session(self._own)

    def _wanted(self, configured: Sequence[Members], present: Members) -> list[Edit]:
        """The edits that make the partners' groups and rule lists what they should be, before all other lists."""
        wanted = {group_of(partner["id"]): (group(partner), rule_list(partner)) for partner in configured}
        groups = {each["name"]: each for each in present.get("groups", {}).get("group", ())}
        lists = {each["name"]: each for each in present.get("rule-list", ())}
        foremost = list(lists)[: sum(name in wanted for name in lists)]
        schema = self._core.schema
        edits: list[Edit] = []
        for name in {*groups, *lists}:
            if name.startswith(PREFIX) and name not in wanted:
                for path in (f"/groups/group[name='{name}']", f"/rule-list[name='{name}']"):
                    edits.append(to_edit(schema, NACM, DataEdit(path, "remove")))
        for name, (its_group, rules) in wanted.items():
            if groups.get(name) != its_group:
                edits.append(to_edit(schema, NACM, DataEdit(f"/groups/group[name='{name}']", "replace", its_group)))
            if lists.get(name) != rules or name not in foremost:
                where = parse_path(schema, f"{NACM}/rule-list[name='{name}']")
                edits.append(edits_of.at(where, "replace", value_at(where, rules), Insert("first")))
        return edits


def _group(session: Session) -> str:
    """The NACM group of the partner whose session it is; "" for everybody else's."""
    return next((name for name in session.principal.groups if name.startswith(PREFIX)), "")
