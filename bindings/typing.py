"""What lists and leaf-lists of the bindings offer, for the generated stubs; pyangbind's own classes carry no types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeVar

E_co = TypeVar("E_co", covariant=True)
T = TypeVar("T")


class Entries(Protocol[E_co]):
    """A list: entries by key; of several keys the text has spaces between."""

    def add(self, *keys: Any, **named: Any) -> E_co:
        """A new entry: one key as it is, several by name (`add(country="ES", zone="z1")`)."""

    def delete(self, key: Any) -> None:
        """Take an entry out."""

    def __getitem__(self, key: Any) -> E_co: ...

    def __contains__(self, key: object) -> bool: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[str]: ...

    def itervalues(self) -> Iterator[E_co]:
        """The entries."""

    def keys(self) -> Any:
        """Their keys."""


class LeafList(Protocol[T]):
    """A leaf-list."""

    def append(self, value: T) -> None:
        """One more value."""

    def __getitem__(self, index: int) -> T: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[T]: ...
