"""The ledger of what exists, or may exist, at a partner and could not be withdrawn (paper 4.2: nothing is forgotten).

An entry stays, with an alarm, until the partner gives the thing back (`retry`) or an operator vouches that nothing is
left (`settle`).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Mapping
from typing import Final

from nms.errors import RpcError
from nms.federation.link import Link
from nms.mec.publisher import Publisher
from nms.mec.scope import Scope
from nms.mec.session import DataEdit
from nms.operations.request import Invoke, Session

log = logging.getLogger(__name__)

LEDGER: Final = "/mec-federation:federation/orphan"
_OWN: Final = Scope("/mec-system:system")


class Orphans:
    """The ledger."""

    def __init__(self, publisher: Publisher, links: Mapping[tuple[str, str], Link]) -> None:
        self._publisher = publisher
        self._links = links
        self._loop = asyncio.get_running_loop()

    def record(self, partner: str, agreement: str, path: str, subject: str, reason: str) -> None:
        """List one thing; doing so twice is once.

        Args:
            path: of its entry at the partner (RFC 8040 section 3.5.3), or instance-identifier below its subtree.
        """
        name = hashlib.sha256("/".join((partner, agreement, path)).encode()).hexdigest()[:16]
        now = self._publisher.now()
        orphan = {
            "id": name,
            "partner": partner,
            "agreement": agreement,
            "path": path,
            "subject": subject,
            "recorded-at": now,
            "reason": reason,
            "attempts": 1,
            "last-attempt": now,
        }
        self._publisher.state(f"{LEDGER}[id='{name}']", orphan)
        self._publisher.notify(_OWN, "mec-federation:orphan-recorded", orphan)
        text = f"{subject} may still exist at {partner}: {reason}; retry or settle orphan {name}"
        self._publisher.alarm(_OWN, name, "orphan-alarm", "major", text)

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

    async def _retry(self, name: str, orphan: dict[str, object], link: Link) -> None:
        kind = re.split(r"[=\[]", str(orphan["path"]).rpartition("/")[2])[0].rpartition(":")[2]
        try:
            await link.session.edit([DataEdit(f"/{kind}[id='{orphan['subject']}']", "remove")])
        except RpcError as error:
            tried = {**orphan, "attempts": int(str(orphan["attempts"])) + 1, "last-attempt": self._publisher.now()}
            self._publisher.state(f"{LEDGER}[id='{name}']", {**tried, "reason": error.message})
        else:
            self._remove(name, "the partner has given it back")

    def settle(self, session: Session, request: Invoke) -> None:
        """The action settle: an operator says how it was settled, which is logged."""
        name = str(request.path[-1][1])
        log.warning("orphan %s settled by %s: %s", name, session.principal.name, request.input[0])
        self._remove(name, f"settled by {session.principal.name}")

    def _remove(self, name: str, how: str) -> None:
        self._publisher.alarm(_OWN, name, "orphan-alarm", "major", how, cleared=True)
        self._publisher.state(f"{LEDGER}[id='{name}']", None)
