"""Where applications cannot reach the platform (Mp1), an instance of it has nothing to relay: none can be wished for.

Stands in for `nms.mec.platform_instance` in a domain without a RESTCONF listener.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nms.datastore.transaction import Transaction
from nms.errors import RpcError
from nms.mec.platform_instance import wish
from nms.mec.scope import agreement_path
from nms.mec.session import members_at
from nms.mec.windows import AGREEMENT
from nms.model.diff import Change
from nms.model.path import parse_path
from nms.model.schema import Schema
from nms.model.values import Value


class NoPlatformInstance:
    """Refuses the wish; one that was there before the listener went may stay, and is not fulfilled."""

    def __init__(self, schema: Schema) -> None:
        self.paths: tuple[str, ...] = (f"{AGREEMENT}/platform-instance",)
        self._federation = parse_path(schema, "/mec-federation:federation")

    def prepare(self, changes: Sequence[Change], tx: Transaction) -> None:
        """Raises `RpcError`: operation-not-supported."""
        for where in set(self._wishes(tx.new)) - set(self._wishes(tx.old)):
            message = (
                "the daemon has no [restconf] listener, by which applications reach its platform and its instances"
            )
            raise RpcError("operation-not-supported", message, path=f"{where}/platform-instance")

    def abort(self, tx: Transaction) -> None:
        """Nothing was done."""

    def apply(self, changes: Sequence[Change], tx: Transaction) -> None:
        """There is nothing to do."""

    def _wishes(self, root: Value) -> Iterator[str]:
        """Paths of agreements with a wish."""
        for partner in (members_at(root, self._federation) or {}).get("partner", ()):
            for agreement in partner.get("agreement", ()):
                if wish(agreement) is not None:
                    yield agreement_path(partner["id"], agreement["id"])
