"""Strict TOML: a frozen dataclass per table declares its keys, once, and everything else follows from that.

One declaration of a key (its name, kind, default, sentence of documentation) gives the parser, the error for a wrong
value, the hint for a mistyped name and the commented file that `nms init` writes.  This module knows what a key is;
it must not know which keys there are (`nms.config`) nor what they are for.

    @dataclass(frozen=True)
    class Ssh:
        listen: Endpoint = setting(ENDPOINT, "Address and port to listen on.")

The TOML name of a field is its Python name with hyphens, unless `setting(..., name=...)` says otherwise.
"""

from __future__ import annotations

import difflib
import json
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


def setting(kind: Kind[T], doc: str, *, name: str = "", default: object = MISSING) -> T:
    """Declare a key of a table; without a default it must be given.  The type is that of the value, as for `field`."""
    metadata = {"kind": kind, "doc": doc, "name": name}
    return cast("T", field(default=default, repr=not kind.secret, metadata=metadata))


def table(row: type[T], doc: str, *, name: str = "", default: object = MISSING) -> T:
    """Declare a sub-table read into the dataclass `row`; without a default it must be there."""
    return cast("T", field(default=default, metadata={"row": row, "doc": doc, "name": name}))


def tables(row: type[Row], doc: str, *, name: str) -> tuple[Row, ...]:
    """Declare an array of tables (`[[name]]`), empty when there is none."""
    metadata = {"row": row, "doc": doc, "name": name, "array": True}
    return cast("tuple[Row, ...]", field(default=(), metadata=metadata))


def remainder(doc: str) -> Mapping[str, object]:
    """Declare that a table takes keys which somebody else declares and checks; they are kept as TOML has them."""
    metadata = {"rest": True, "doc": doc, "name": ""}
    return cast("Mapping[str, object]", field(default_factory=dict, metadata=metadata))


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
    declared, rest = _declared(row)
    others = {name: value for name, value in found.items() if name not in declared}
    if others and not rest:
        name = next(iter(others))
        raise where.error(name, _unknown(name, tuple(declared)))
    values: dict[str, object] = {rest: others} if rest else {}
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


def _declared(row: type) -> tuple[dict[str, Field[Any]], str]:
    """The keys that a table declares, by their name in the file, and the field of the remainder ("" for none)."""
    rest = next((one.name for one in fields(row) if "rest" in one.metadata), "")
    return {toml_name(one): one for one in fields(row) if one.name != rest}, rest


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
    return tuple(
        read_table(row, each, Where(where.file, _numbered(path, number, each)), path)
        for number, each in enumerate(found, 1)
    )


def _numbered(path: str, number: int, entry: object) -> str:
    """Header of one of several tables: by its name where it has one, since people do not count tables."""
    named = (
        next((entry[k] for k in ("name", "id") if isinstance(entry.get(k), str)), "") if isinstance(entry, dict) else ""
    )
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
    text = json.dumps(found, ensure_ascii=False) if isinstance(found, str | bool) else str(found)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({_TOML_TYPES.get(type(found), 'date or time')})"


def document(row: type, values: Mapping[str, Any]) -> str:
    """TOML text of a file: each declared key with its documentation; those without a value as comments.

    Args:
        row: the dataclass that declares the file.
        values: TOML name to value; mappings for tables, lists of mappings for arrays of tables.
    """
    return "\n".join(_lines(row, values, "")).lstrip("\n") + "\n"


def _lines(row: type, values: Mapping[str, Any], path: str) -> Iterator[str]:
    declared, rest = _declared(row)
    # TOML wants the keys of a table before the tables below it
    for name, one in sorted(declared.items(), key=lambda named: "row" in named[1].metadata):
        doc, given = one.metadata["doc"], values.get(name)
        below = f"{path}.{name}" if path else name
        header = f"[[{below}]]" if one.metadata.get("array") else f"[{below}]"
        if "row" not in one.metadata:
            yield f"# {doc}" if given is not None else f"# {doc.rstrip('.')}: {one.metadata['kind'].expected}."
            yield f"{name} = {_toml(given)}" if given is not None else f"# {name} = {_toml(_default(one))}".rstrip()
        elif given is None:
            yield from ("", f"# {doc}", f"# {header}")
        else:
            for entry in given if one.metadata.get("array") else [given]:
                yield from ("", f"# {doc}", header)
                yield from _lines(one.metadata["row"], entry, below)
    if rest:
        yield from _undeclared({name: value for name, value in values.items() if name not in declared}, path)


def _undeclared(values: Mapping[str, Any], path: str) -> Iterator[str]:
    arrays = {name: value for name, value in values.items() if isinstance(value, list) and isinstance(value[0], dict)}
    yield from (f"{name} = {_toml(value)}" for name, value in values.items() if name not in arrays)
    for name, entries in arrays.items():
        for entry in entries:
            yield from ("", f"[[{path}.{name}]]", *_undeclared(entry, f"{path}.{name}"))


def _default(one: Field[Any]) -> object:
    return None if one.default is MISSING else one.default


def _toml(value: object) -> str:
    """A value in TOML, nothing for None; its basic strings are those of JSON, its tables here inline ones."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{name} = {_toml(each)}' for name, each in value.items())} }}"
    return "" if value is None else json.dumps(value, ensure_ascii=False)


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


def whole(least: int, most: int) -> Kind[int]:
    """A whole number from `least` to `most`."""

    def read(found: object, where: Where) -> int:
        value = _instance(int)(found, where)
        if not least <= value <= most:
            raise ValueError
        return value

    return Kind(f"a whole number from {least} to {most}", read)


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
                raise ValueError(
                    str(error) or f"found {describe(each)} in the array, expected {kind.expected}"
                ) from None
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
