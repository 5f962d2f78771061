"""The value of an instance: plain, immutable, comparable Python objects.

Containers, list entries, rpc inputs and outputs, notifications and the root are tuples with one position per child of
their schema node (`None` = absent); lists are persistent maps (`nms.model.entries`); leafs are the scalars below.  The
string subclasses exist so that a member of a union can be told from an ordinary string when it is written as XML.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeAlias

#: Positional value of an inner node, value of a list, leaf-list, leaf or anydata.  The shapes are recursive and chosen
#: by the schema node, which a static type cannot follow; hence the one `Any` of the package.
Value: TypeAlias = Any

#: One key leaf's value, or a tuple of them for a list with several keys.
Key: TypeAlias = Any


class Identity(str):
    """Value of an identityref (RFC 7950 section 9.10): ``module:name``."""

    __slots__ = ()


class InstanceId(str):
    """Value of an instance-identifier (RFC 7950 section 9.13), every name qualified by its module."""

    __slots__ = ()


class Empty:
    """The single value of type empty (RFC 7950 section 9.11)."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "EMPTY"

    def __lt__(self, other: object) -> bool:
        return False


EMPTY: Final = Empty()

Scalar: TypeAlias = str | int | bool | Decimal | Empty


def alike(one: Value, other: Value) -> bool:
    """Are two values of one node the same?  Python takes 1 for true and an identity for its text."""
    if one is other:
        return True
    if type(one) is not type(other) or one != other:
        return False
    return type(one) is not tuple or all(map(alike, one, other))


@dataclass(frozen=True, slots=True)
class AnyData:
    """Content of an anydata or anyxml node (RFC 7950 sections 7.10, 7.11) in the encoding it came in.

    Attributes:
        xml: the children and text as serialised XML with all namespaces declared, or None.
        json: the RFC 7951 value as JSON text, or None.
    """

    xml: str | None = None
    json: str | None = None
