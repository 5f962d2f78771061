"""The end of an agreement: giving back what we have at the partner, and what the partner has here.

What we have there is in the ledger of orphans before the first attempt, so that a daemon that dies in the middle
forgets nothing; what the partner gives back leaves the ledger, and what remains raises an alarm.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Iterator, Sequence

from nms.errors import RpcError, RpcErrors
from nms.federation.link import Link, entries_of
from nms.federation.orphans import Orphans
from nms.mec.session import DataEdit, ManagementSession, Members

log = logging.getLogger(__name__)

#: Lists whose entries others refer to.
_USED = ("package", "image", "reservation", "application", "slice")


async def say_farewell(link: Link, subjects: Iterable[tuple[str, str]], orphans: Orphans, patience: float) -> None:
    """The agreement's entry is gone: give back `subjects` (list, identifier), for at most `patience` seconds."""
    left = set(subjects)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience):
            while left and link.reachable:
                try:
                    await remove_all(link.session, await link.session.get("", "config") or {}, link.served)
                    left = set(entries_of(await link.session.get("", "config") or {}, link.served))
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


async def remove_all(session: ManagementSession, agreement: Members, containers: Sequence[str]) -> None:
    """Remove every intent in these containers: what others use once nothing uses it any more.

    Args:
        session: on the agreement's entry.
        agreement: its members.

    Raises:
        RpcError: the partner is not reached.
    """
    for rule in _rules(agreement, containers):
        await session.edit([DataEdit(rule, "remove")])
    found = entries_of(agreement, containers)
    first = [each for each in found if each[0].rpartition("/")[2] not in _USED] or found
    for name, subject in first:
        try:
            await session.edit([DataEdit(f"/{name}[id='{subject}']", "remove")])
        except (RpcError, RpcErrors) as error:
            if isinstance(error, RpcError) and error.type == "transport":
                raise
            log.info("%s %s cannot be withdrawn yet: %s", name, subject, error)


def _rules(agreement: Members, containers: Sequence[str]) -> Iterator[str]:
    """Paths of what a platform has in force in our data plane (Mp2): it goes with the instances that it serves."""
    for container in containers:
        for rule in agreement.get(container, {}).get("data-plane-rule", ()):
            yield f"/{container}/data-plane-rule[instance='{rule['instance']}'][id='{rule['id']}']"
