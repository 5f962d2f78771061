"""The end of an agreement: giving back what we have at the partner, and what the partner has here.

What we have there is in the ledger of orphans before the first attempt, so that a daemon that dies in the middle
forgets nothing; what the partner gives back leaves the ledger, and what remains raises an alarm.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable

from nms.errors import RpcError, RpcErrors
from nms.federation.adaptor import RemoteSession
from nms.federation.link import Link
from nms.federation.orphans import Orphans
from nms.mec.session import DataEdit, LocalSession, Members

log = logging.getLogger(__name__)


async def say_farewell(link: Link, subjects: Iterable[tuple[str, str]], orphans: Orphans, patience: float) -> None:
    """The agreement's entry is gone: give back `subjects` (list, identifier), for at most `patience` seconds."""
    left = set(subjects)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience):
            while left and link.reachable:
                try:
                    await remove_all(link.session, await link.session.get("", "config") or {})
                    left = set(entries_of(await link.session.get("", "config") or {}))
                except RpcError as error:
                    link.error = error.message
                    if error.type == "transport":
                        break
                if left:
                    await asyncio.sleep(0.2)
    for name, subject in sorted({*subjects, *left}):
        if (name, subject) in left:
            orphans.record(*link.id, name, subject, link.error or "the partner did not give it back in time")
        else:
            orphans.returned(*link.id, name, subject)


def entries_of(subtree: Members) -> list[tuple[str, str]]:
    """(list, identifier) of the intents in a system's subtree; what uses others first."""
    return [(name, entry["id"]) for name in ("relocation", "deployment", "package") for entry in subtree.get(name, ())]


async def remove_all(session: RemoteSession | LocalSession, subtree: Members) -> None:
    """Remove every intent in a system's subtree: packages once nothing uses them any more.

    Raises:
        RpcError: the partner is not reached.
    """
    found = entries_of(subtree)
    first = [each for each in found if each[0] != "package"] or found
    for name, subject in first:
        try:
            await session.edit([DataEdit(f"/{name}[id='{subject}']", "remove")])
        except (RpcError, RpcErrors) as error:
            if isinstance(error, RpcError) and error.type == "transport":
                raise
            log.info("%s %s cannot be withdrawn yet: %s", name, subject, error)
