"""A construct of YANG 1.1: a model in a few words, instances, and what is to be said of them (RFC 7950 section 15)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nms.errors import RpcError
from nms.model import constraints, json
from nms.model.load import load
from nms.model.schema import Schema

Verdict = list[tuple[str, str, str]]
VALID: Verdict = []


def module(name: str, body: str, head: str = "") -> str:
    return f'module {name} {{ yang-version 1.1; namespace "urn:{name}"; prefix {name}; {head} {body} }}'


def error(tag: str, path: str, app_tag: str = "") -> Verdict:
    return [(tag, app_tag, path)]


def unknown(path: str) -> Verdict:
    return error("unknown-element", path)


def invalid(path: str, app_tag: str = "") -> Verdict:
    return error("invalid-value", path, app_tag)


def must(path: str) -> Verdict:
    return error("operation-failed", path, "must-violation")


def missing(path: str) -> Verdict:
    return error("data-missing", path)


@dataclass(frozen=True)
class Construct:
    """A construct: the body of module m (and other modules), and instances with their verdicts.

    Attributes:
        others: file name -> text.
        wanted: modules to load beside m, as `load` takes them.
        whole: the data holds state too.
    """

    name: str
    body: str
    data: list[tuple[Any, Verdict]]
    head: str = ""
    others: dict[str, str] = field(default_factory=dict)
    wanted: tuple[str, ...] = ("m",)
    whole: bool = False


def compiled(folder: Path, construct: Construct) -> Schema:
    (folder / "m.yang").write_text(module("m", construct.body, construct.head))
    for name, text in construct.others.items():
        (folder / f"{name}.yang").write_text(text)
    return load([folder], construct.wanted)


def verdict(schema: Schema, data: Any, *, whole: bool) -> Verdict:
    try:
        errors = constraints.validate(schema, json.decode(schema.root, data), config=not whole)
    except RpcError as one:
        errors = [one]
    return [(e.tag, e.app_tag, e.path) for e in errors]


def told(folder: Path, construct: Construct) -> list[tuple[Any, Verdict]]:
    """Its instances with the verdicts that they get; they are to be `construct.data`."""
    schema = compiled(folder, construct)
    return [(data, verdict(schema, data, whole=construct.whole)) for data, _ in construct.data]
