"""Instance data of models/inventory.yang: entry number so-and-so in its n-th generation, as XML and as JSON.

Two generations of an entry differ, so that writing the next one is a change.  Pure.
"""

from __future__ import annotations

from typing import Final

MODULE: Final = "inventory"
NAMESPACE: Final = "urn:mec-nms:bench:inventory"
ZONES: Final = 10
#: Successive picks are this far apart, so that they are neighbours neither in a leaf of a tree nor in a cache.
_STRIDE: Final = 7919


def pick(turn: int, size: int) -> int:
    """The number of the entry that is read or written at a turn."""
    return turn * _STRIDE % size


def name(number: int) -> str:
    return f"app-{number:07d}"


def _leaves(number: int, generation: int) -> tuple[str, str, int, int, str]:
    cpu = 1 + (number + generation) % 32
    return name(number), f"registry.example/img-{number % 97}:{generation}", cpu, cpu * 128, f"zone-{number % ZONES}"


def app_xml(number: int, generation: int = 0) -> str:
    """A list entry `app` without its namespace."""
    name, image, cpu, memory, zone = _leaves(number, generation)
    return (
        f"<app><name>{name}</name><image>{image}</image><cpu>{cpu}</cpu><memory>{memory}</memory>"
        f"<zone>{zone}</zone></app>"
    )


def app_json(number: int, generation: int = 0) -> str:
    """A list entry `app` as a JSON object (RFC 7951)."""
    name, image, cpu, memory, zone = _leaves(number, generation)
    return f'{{"name":"{name}","image":"{image}","cpu":{cpu},"memory":{memory},"zone":"{zone}"}}'


def zones_xml() -> str:
    """The entries that the leafref of every `app` needs."""
    return "".join(f"<zone><name>zone-{number}</name></zone>" for number in range(ZONES))
