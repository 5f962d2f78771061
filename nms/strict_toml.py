"""Strict TOML: a frozen dataclass per table declares its keys, once, and everything else follows from that.

One declaration of a key (its name, kind, default, sentence of documentation) gives the parser, the error for a wrong
value, the hint for a mistyped name and the commented file that `nms init` writes.  This module knows what a key is;
it must not know which keys there are (`nms.config`) nor what they are for.

    @dataclass(frozen=True)
    class Ssh:
        listen: Endpoint = key(ENDPOINT, "Address and port to listen on.")

The TOML name of a field is its Python name with hyphens, unless `key(..., name=...)` says otherwise.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from nms.errors import ConfigError

T = TypeVar("T")
Row = TypeVar("Row")


@dataclass(frozen=True)
class Where:
    """The place of a value: the file that it stands in and the header of its table, for messages and relative paths."""

    file: Path
    table: str = ""

    def error(self, name: str, problem: str) -> ConfigError:
        place = " ".join(part for part in (self.table, name) if part)
        return ConfigError(f"{self.file}: {place}: {problem}" if place else f"{self.file}: {problem}")


@dataclass(frozen=True)
class Kind(Generic[T]):
    """A kind of value: how it is read and how it is described.

    Args:
        expected: completes "expected ...", with an example.
        read: TOML value and place to value; raises `ValueError` (with a message, or empty for "expected ...").
        secret: never repeat what was found.
    """

    expected: str
    read: Callable[[object, Where], T]
    secret: bool = False


def key(kind: Kind[T], doc: str, *, name: str = "", default: object = MISSING) -> T:
    """Declare a key of a table; without a default it must be given.  The type is that of the value, as for `field`."""
    metadata = {"kind": kind, "doc": doc, "name": name}
    return cast(T, field(default=default, repr=not kind.secret, metadata=metadata))  # type: ignore[call-overload]


def table(row: type[T], doc: str, *, name: str = "", default: object = MISSING) -> T:
    """Declare a sub-table read into the dataclass `row`; without a default it must be there."""
    return cast(T, field(default=default, metadata={"row": row, "doc": doc, "name": name}))  # type: ignore[call-overload]


def tables(row: type[Row], doc: str, *, name: str) -> tuple[Row, ...]:
    """Declare an array of tables (`[[name]]`), empty when there is none."""
    metadata = {"row": row, "doc": doc, "name": name, "array": True}
    return cast(tuple[Row, ...], field(default=(), metadata=metadata))


def toml_name(declared: Field[Any]) -> str:
    """The key's name in the file."""
    return str(declared.metadata["name"] or declared.name.replace("_", "-"))


def read_file(row: type[T], file: Path) -> T:
    """Read a TOML file into the dataclass `row`.

    Raises:
        ConfigError: one line naming the file, the key, and what to write instead.
    """
    try:
        text = file.read_bytes().decode()
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}; `nms init DIR` writes a working one") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8 at byte {error.start}") from None
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: not TOML: {error}") from None
    return read_table(row, document, Where(file))


def read_table(row: type[T], found: object, where: Where, path: str = "") -> T:
    """Read one table (a TOML mapping) into the dataclass `row`; `path` is its dotted name in the file."""
    if not isinstance(found, dict):
        raise where.error("", f"found {describe(found)}, expected a table [{path}]")
    declared = {toml_name(one): one for one in fields(row)}  # type: ignore[arg-type]
    for name in found:
        if name not in declared:
            raise where.error(name, _unknown(name, tuple(declared)))
    values: dict[str, object] = {}
    for name, one in declared.items():
        below = f"{path}.{name}" if path else name
        if name in found:
            values[one.name] = _read_value(one, name, found[name], where, below)
        elif one.default is MISSING:
            what = f"[{below}]" if "row" in one.metadata else name
            raise where.error(what, f"missing: {one.metadata['doc']}")
    check = getattr(row, "check", None)
    result = row(**values)
    if check is not None:
        try:
            check(result)
        except ValueError as error:
            raise where.error("", str(error)) from None
    return result


def _read_value(one: Field[Any], name: str, found: object, where: Where, path: str) -> object:
    row = one.metadata.get("row")
    if row is None:
        kind: Kind[object] = one.metadata["kind"]
        try:
            return kind.read(found, where)
        except ValueError as error:
            shown = "a value that is not shown" if kind.secret else describe(found)
            raise where.error(name, str(error) or f"found {shown}, expected {kind.expected}") from None
    if not one.metadata.get("array"):
        return read_table(row, found, Where(where.file, f"[{path}]"), path)
    if not isinstance(found, list):
        raise where.error(name, f"found {describe(found)}, expected tables, each headed [[{path}]]")
    return tuple(read_table(row, each, Where(where.file, _numbered(path, number, each)), path)
                 for number, each in enumerate(found, 1))


def _numbered(path: str, number: int, entry: object) -> str:
    """Header of one of several tables: by its name where it has one, since people do not count tables."""
    named = next((entry[k] for k in ("name", "id") if isinstance(entry.get(k), str)), "") if isinstance(entry, dict) else ""
    return f"[[{path}]] {named or f'number {number}'}"


def _unknown(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name.lower().replace("_", "-"), known, 1, 0.6)
    return "unknown key; " + (f"did you mean {near[0]}?" if near else "known here: " + ", ".join(known))


_TOML_TYPES: Mapping[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "float",
    str: "string",
    list: "array",
    dict: "table",
}


def describe(found: object) -> str:
    """What was found, for a message: the value in TOML and its type; long values are cut."""
    text = {True: "true", False: "false"}[found] if isinstance(found, bool) else _quoted(found)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({_TOML_TYPES.get(type(found), 'date or time')})"


def _quoted(found: object) -> str:
    return '"' + found.encode("unicode_escape").decode() + '"' if isinstance(found, str) else str(found)


def keys_of(row: type) -> Iterator[tuple[str, Field[Any]]]:
    """The declared keys of a table in order, as (TOML name, field)."""
    for one in fields(row):
        yield toml_name(one), one


# Kinds that any file may need.


def _instance(kind: type[T]) -> Callable[[object, Where], T]:
    def read(found: object, _where: Where) -> T:
        # bool is an int for Python, but not for TOML
        if type(found) is not kind:
            raise ValueError
        return found

    return read


def _text(found: object, _where: Where) -> str:
    if not isinstance(found, str) or not found.strip() or any(ord(c) < 32 for c in found):
        raise ValueError
    return found


TEXT = Kind("a string that is not empty", _text)
BOOLEAN = Kind("true or false", _instance(bool))


def number(least: int, unit: str) -> Kind[int]:
    """An integer of at least `least`; `unit` is what it counts."""

    def read(found: object, _where: Where) -> int:
        if type(found) is not int or found < least:
            raise ValueError
        return found

    return Kind(f"an integer of at least {least} ({unit})", read)


def matching(expected: str, parse: Callable[[str], T | None], *, secret: bool = False) -> Kind[T]:
    """A string that `parse` makes a value of; `None` or `ValueError` from it refuse the string."""

    def read(found: object, where: Where) -> T:
        value = parse(_text(found, where))
        if value is None:
            raise ValueError
        return value

    def silent(found: object, where: Where) -> T:
        try:
            return read(found, where)
        except ValueError:  # the library's own words seldom help: say what is expected
            raise ValueError from None

    return Kind(expected, silent, secret)


def one_of(*words: str) -> Kind[str]:
    """One of a few words."""
    return matching("one of " + ", ".join(words), lambda text: text if text in words else None)


def many(kind: Kind[T]) -> Kind[tuple[T, ...]]:
    """An array of values of one kind, without repetition."""

    def read(found: object, where: Where) -> tuple[T, ...]:
        if not isinstance(found, list):
            raise ValueError
        values = []
        for each in found:
            try:
                values.append(kind.read(each, where))
            except ValueError as error:
                if kind.secret:
                    raise ValueError from None
                raise ValueError(str(error) or f"found {describe(each)} in the array, expected {kind.expected}") from None
            if values[-1] in values[:-1]:
                raise ValueError(f"{describe(each)} is there twice")
        return tuple(values)

    return Kind(f"an array of: {kind.expected}", read, kind.secret)


def path(what: str, *, test: Callable[[Path], bool] | None = None) -> Kind[Path]:
    """A path, relative to the folder of the file; `test` (`Path.is_file`, `Path.is_dir`) says what must be there."""

    def read(found: object, where: Where) -> Path:
        absolute = where.file.absolute().parent / Path(_text(found, where)).expanduser()
        if test is not None and not test(absolute):
            raise ValueError(f"{absolute}: no such {what}")
        return absolute

    return Kind(f"the path of a {what}", read)
