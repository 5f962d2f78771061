"""What an agreement allows: checked when the partner asks for something under it, and when an operator makes it.

Pure: the configuration before and after in, an `RpcError` out.  It runs under the writer lock, so that two requests for
the last of a quota cannot both be granted.  Amounts of resources are the infrastructure manager's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from nms.credentials import public_key
from nms.errors import RpcError
from nms.federation.agreement import IN_FORCE
from nms.federation.identity import user_of
from nms.mec.session import Members

_SYSTEM: Final = "mec-system:system"


def path_of(partner: str, agreement: str = "") -> str:
    """Instance-identifier of a partner's, or an agreement's, entry."""
    base = f"/mec-federation:federation/mec-federation:partner[mec-federation:id='{partner}']"
    return base + (f"/mec-federation:agreement[mec-federation:id='{agreement}']" if agreement else "")


def check_partner(partner: Members, others: Iterable[Members], local_users: frozenset[str]) -> None:
    """Is this a federation with somebody new, who can be told from everybody else?

    Raises:
        RpcError: data-exists (the same domain under another name), in-use (a local user's name), invalid-value.
    """
    where = path_of(partner["id"])
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


def check_requests(partner: str, old: Members, new: Members, state: str, zones: frozenset[str]) -> None:
    """May what changed under an agreement be asked for now?  Removing always may.

    Args:
        old, new: the agreement's entry before and after.
        state: federation-state now.
        zones: those both offered and accepted.

    Raises:
        RpcError: access-denied (agreement not in force), resource-denied (quota), invalid-value (zone not accepted).
    """
    where = path_of(partner, new["id"]) + f"/{_SYSTEM}"
    before, after = old.get(_SYSTEM, {}), new.get(_SYSTEM, {})
    quota = new.get("quota", {})
    for name in ("package", "deployment", "relocation"):
        had = {entry["id"]: entry for entry in before.get(name, ())}
        added = [entry for entry in after.get(name, ()) if had.get(entry["id"]) != entry]
        if not added:
            continue
        path = f"{where}/mec-system:{name}[mec-system:id='{added[0]['id']}']"
        if state not in IN_FORCE:
            raise RpcError("access-denied", f"agreement {new['id']} is {state}, nothing new is accepted", path=path)
        limit = quota.get(f"{name}s")
        count = len(after.get(name, ()))
        if limit is not None and count > limit and count > len(had):
            raise RpcError("resource-denied", f"the quota of {limit} {name}s is used up", path=path)
        for entry in added:
            _check_entry(name, entry, quota, zones, f"{where}/mec-system:{name}[mec-system:id='{entry['id']}']")


def _check_entry(name: str, entry: Mapping[str, Any], quota: Members, zones: frozenset[str], path: str) -> None:
    most = quota.get("package-size")
    if name == "package" and most is not None and int(entry.get("size", 0)) > int(most):
        raise RpcError("resource-denied", f"the package has {entry['size']} bytes, {most} are agreed", path=path)
    named = [entry[leaf] for leaf in ("zone", "target-zone") if leaf in entry] + list(entry.get("acceptable-zone", ()))
    refused = next((zone for zone in named if zone not in zones), None)
    if refused is not None:
        raise RpcError("invalid-value", f"zone {refused} is not both offered and accepted in this agreement", path=path)
