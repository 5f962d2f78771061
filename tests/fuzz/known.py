"""Where the two verdicts differ for a reason that the RFC's text settles, or that it leaves open.

A row says what is known of libyang 4.5 and the section that decides; its test looks at both lists of errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from nms.errors import RpcError


@dataclass(frozen=True, slots=True)
class Known:
    """An explained difference.

    Attributes:
        section: of RFC 7950 where no other document is named.
        explains: whether (ours, libyang's messages, all modules' text, the instance's text) is this one.
    """

    name: str
    section: str
    reason: str
    explains: Callable[[Sequence[RpcError], Sequence[str], str, str], bool]


KNOWN: Final[tuple[Known, ...]] = ()


def explanation(ours: Sequence[RpcError], theirs: Sequence[str], modules: str, instance: str) -> str:
    """The name of the row that explains a difference, or an empty text."""
    return next((row.name for row in KNOWN if row.explains(ours, theirs, modules, instance)), "")
