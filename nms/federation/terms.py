"""With whom a federation may be made: somebody new, who can be told from everybody else.

Pure: entries in, an `RpcError` out.  What may be asked for under an agreement is the orchestrator's business.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nms.credentials import public_key
from nms.errors import RpcError
from nms.federation.identity import user_of
from nms.mec.session import Members


def check_partner(partner: Members, others: Iterable[Members], local_users: frozenset[str]) -> None:
    """Is this a federation with somebody new, who can be told from everybody else?

    Raises:
        RpcError: data-exists (the same domain under another name), in-use (a local user's name), invalid-value.
    """
    where = f"/mec-federation:federation/mec-federation:partner[mec-federation:id='{partner['id']}']"
    if user_of(partner) in local_users:
        raise RpcError("in-use", f"{user_of(partner)} is a user of this domain; name another user-name", path=where)
    for line in partner.get("authorized-key", ()):
        try:
            public_key(line)
        except ValueError as error:
            raise RpcError("invalid-value", str(error), path=where) from None
    for other in others:
        for what, mine, its in _marks(partner, other):
            if mine & its:
                raise RpcError(
                    "data-exists",
                    f"a federation with that domain exists as {other['id']}: it has the same {what}",
                    path=where,
                )


def _marks(one: Members, other: Members) -> Iterable[tuple[str, frozenset[Any], frozenset[Any]]]:
    """What may not be the same at two partners."""
    yield "user-name", frozenset({user_of(one)}), frozenset({user_of(other)})
    for name in ("authorized-key", "client-certificate"):
        yield name, _values(one.get(name, ())), _values(other.get(name, ()))
    yield "endpoint", _addresses(one), _addresses(other)


def _values(found: Iterable[str]) -> frozenset[str]:
    return frozenset(" ".join(value.split()[:2]) for value in found)


def _addresses(partner: Members) -> frozenset[tuple[str, int]]:
    return frozenset((endpoint["address"], endpoint["port"]) for endpoint in partner.get("endpoint", ()))
