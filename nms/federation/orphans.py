"""The ledger of what exists, or may exist, at a partner and could not be withdrawn (paper 4.2: nothing is forgotten).

An entry stays, with an alarm, until the partner gives the thing back or an operator vouches that nothing is left
(`settle`).  A partner that answers again under the same agreement is asked again and again, and at once by `retry`.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from nms.errors import RpcError
from nms.federation.link import Link
from nms.mec.entry import from_uri, path_of, uri_of
from nms.mec.publisher import Publisher
from nms.mec.scope import Scope
from nms.mec.session import DataEdit, Members
from nms.operations.request import Invoke, Session

log = logging.getLogger(__name__)

LEDGER: Final = "/mec-federation:federation/orphan"
_OWN: Final = Scope("/mec-system:system")
_ALARM_KEYS: Final = "[alarm-type-id='mec-types:orphan-alarm'][alarm-type-qualifier='']"

#: Seconds between two attempts, at most; the first pause is one second.
LONGEST_PAUSE: Final = 600


class Orphans:
    """The ledger."""

    def __init__(self, publisher: Publisher, links: Mapping[tuple[str, str], Link]) -> None:
        self._publisher = publisher
        self._links = links
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Raise the alarms of what an earlier process of the daemon was about to give back when it died."""
        for orphan in self._publisher.entries(LEDGER):
            if self._publisher.read(f"{_OWN.base}/alarm[resource='{orphan['id']}']{_ALARM_KEYS}") is None:
                self._raise(orphan)

    def note(self, partner: str, agreement: str, name: str, subject: str, reason: str) -> Members:
        """List one thing that is about to be given back: what dies in the middle is not forgotten.

        Args:
            name: of the list that it is in at the partner, below the agreement: ``mec-system:system/deployment``.
            subject: its identifier there.
        """
        key = _id(partner, agreement, name, subject)
        now = self._publisher.now()
        orphan = {
            "id": key,
            "partner": partner,
            "agreement": agreement,
            "path": uri_of((name, subject)),
            "subject": subject,
            "recorded-at": now,
            "reason": reason,
            "attempts": 1,
            "last-attempt": now,
        }
        self._publisher.state(f"{LEDGER}[id='{key}']", orphan)
        return orphan

    def record(self, partner: str, agreement: str, name: str, subject: str, reason: str) -> None:
        """List one thing that was not given back, with an alarm; doing so twice is once."""
        self._raise(self.note(partner, agreement, name, subject, reason))

    def returned(self, partner: str, agreement: str, name: str, subject: str) -> None:
        """The partner has given it back, or it is wanted again; nothing if it was not listed."""
        self._remove(_id(partner, agreement, name, subject), "the partner has given it back")

    def _raise(self, orphan: Members) -> None:
        self._publisher.notify(_OWN, "mec-federation:orphan-recorded", orphan)
        text = f"{orphan['subject']} may still exist at {orphan['partner']}: {orphan['reason']}; "
        self._publisher.alarm(
            _OWN, orphan["id"], "orphan-alarm", "major", f"{text}retry or settle orphan {orphan['id']}"
        )

    async def ask(self, link: Link) -> None:
        """Ask a partner that answers again for what is listed under the agreement and due for another attempt."""
        for orphan in list(self._publisher.entries(LEDGER)):
            if (orphan["partner"], orphan["agreement"]) == link.id and _due(orphan, self._publisher.store.clock()):
                await self._retry(orphan["id"], orphan, link)

    def retry(self, session: Session, request: Invoke) -> None:
        """The action retry: needs a session with the partner under the same agreement.

        Raises:
            RpcError: operation-failed; there is no such session.
        """
        name = str(request.path[-1][1])
        orphan = self._publisher.read(f"{LEDGER}[id='{name}']") or {}
        link = self._links.get((orphan.get("partner", ""), orphan.get("agreement", "")))
        if link is None or not link.reachable:
            raise RpcError(
                "operation-failed", f"{orphan.get('partner')} is no partner that answers; settle the orphan instead"
            )
        asyncio.run_coroutine_threadsafe(self._retry(name, orphan, link), self._loop)

    async def _retry(self, name: str, orphan: Members, link: Link) -> None:
        try:
            await link.session.edit([DataEdit(path_of(from_uri(orphan["path"])), "remove")])
        except RpcError as error:
            tried = {**orphan, "attempts": int(orphan["attempts"]) + 1, "last-attempt": self._publisher.now()}
            self._publisher.state(f"{LEDGER}[id='{name}']", {**tried, "reason": error.message})
        else:
            self._remove(name, "the partner has given it back")

    def settle(self, session: Session, request: Invoke) -> None:
        """The action settle: an operator says how it was settled, which is logged."""
        name = str(request.path[-1][1])
        log.warning("orphan %s settled by %s: %s", name, session.principal.name, request.input[0])
        self._remove(name, f"settled by {session.principal.name}")

    def _remove(self, name: str, how: str) -> None:
        if self._publisher.read(f"{LEDGER}[id='{name}']") is not None:
            self._publisher.alarm(_OWN, name, "orphan-alarm", "major", how, cleared=True)
            self._publisher.state(f"{LEDGER}[id='{name}']", None)


def _id(partner: str, agreement: str, name: str, subject: str) -> str:
    return hashlib.sha256("/".join((partner, agreement, name, subject)).encode()).hexdigest()[:16]


def _due(orphan: Members, now: datetime) -> bool:
    """Is it time for another attempt?  The pause doubles with each."""
    pause = min(2 ** min(int(orphan["attempts"]) - 1, 16), LONGEST_PAUSE)
    return now >= datetime.fromisoformat(orphan["last-attempt"]) + timedelta(seconds=pause)
