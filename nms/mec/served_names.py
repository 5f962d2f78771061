"""The names by which clients find what a platform manager runs: none of them may be another one's.

Whose an instance is, its slice tells; what a partner's own manager has this domain's platform serve (options 2 and 3)
stands under the partner's agreement.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from nms.datastore.transaction import Transaction
from nms.errors import RpcError
from nms.mec.domain_names import domain_names, require_free
from nms.mec.mep import PLATFORMS
from nms.mec.places import Places
from nms.mec.publisher import Publisher
from nms.mec.scope import Scope
from nms.mec.session import Members, members_at
from nms.mec.supervision import INSTANCE
from nms.mec.windows import PLATFORM
from nms.model.path import parse_path


class ServedNames:
    """Of one platform manager.

    Args:
        scope: the manager's own.
    """

    def __init__(self, publisher: Publisher, scope: Scope, places: Places) -> None:
        self._publisher = publisher
        self._scope = scope
        self._places = places

    def require_free(self, wanted: Members, tx: Transaction, where: str) -> None:
        """Raises `RpcError`: data-exists; an instance (entry of the list app-instance) would take over a name."""
        platform = self._platform(wanted)
        path = f"{PLATFORMS}[id='{platform}']/configuration"
        zone = (self._publisher.read(path) or {}).get("dns-zone", "")
        require_free(self._named(wanted, zone), self._others(wanted, platform, zone, tx), where)

    def _others(self, wanted: Members, platform: str, zone: str, tx: Transaction) -> Iterator[AbstractSet[str]]:
        held = members_at(tx.new, parse_path(self._publisher.schema, self._scope.base)) or {}
        for each in held.get(INSTANCE, ()):
            if each.get("slice") != wanted.get("slice") and self._platform(each) == platform:
                yield self._named(each, zone)
        if self._publisher.read(f"{PLATFORMS}[id='{platform}']") is not None:
            for scope in self._publisher.scopes(PLATFORM.path):
                for each in self._publisher.entries(f"{scope.base}/application"):
                    yield domain_names(each.get("dns-rule", ()), zone)

    def _platform(self, entry: Members) -> str:
        """Which one serves an instance; "" where its zone is gone."""
        try:
            return self._places.of(entry.get("zone", "")).platform
        except RpcError:
            return ""

    def _named(self, entry: Members, zone: str) -> AbstractSet[str]:
        path = f"{self._scope.base}/package[id='{entry['package']}']/state/descriptor"
        return domain_names(rules(self._publisher.read(path) or {}, entry, "dns-rule"), zone)


def rules(descriptor: Members, wanted: Members, kind: str) -> list[Members]:
    """The descriptor's rules as the instance's entry wants them."""
    wishes = {each["id"]: each for each in wanted.get(kind, ())}
    rules = []
    for rule in descriptor.get(kind, ()):
        wish = wishes.get(rule["id"], {})
        named = {"domain-name": wish["domain-name"]} if "domain-name" in wish else {}
        active = "active" if wish.get("active", True) else "inactive"
        rules.append({**rule, **named, "desired-state": active})
    return rules
