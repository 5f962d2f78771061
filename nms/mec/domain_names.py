"""The names by which clients find applications (ETSI GS MEC 011, DNS rules): nobody takes over another's.

Members in, members out: pure.  Whose an application is, is known to who asks.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from nms.errors import RpcError
from nms.mec.session import Members


def domain_names(rules: Iterable[Members], zone: str) -> AbstractSet[str]:
    """Those of DNS rules, in one form; one of a single label lies in the platform's zone."""
    names = (rule["domain-name"].rstrip(".").lower() for rule in rules)
    return {f"{name}.{zone.rstrip('.').lower()}" if "." not in name and zone else name for name in names}


def require_free(wanted: AbstractSet[str], others: Iterable[AbstractSet[str]], where: str) -> None:
    """Whether no other's application is found by a name that is wanted at the instance-identifier `where`.

    Raises:
        RpcError: data-exists.
    """
    taken = sorted(wanted & {name for names in others for name in names})
    if taken:
        raise RpcError("data-exists", f"the name {taken[0]} is taken", path=where)
