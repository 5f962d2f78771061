"""YANG files as pyang parses them: statements with their places, and the errors and lint findings of RFC 7950 and 8407.

pyang keeps its plug-ins and validation functions for the whole process, so they are set up once; a context is one set
of modules.  Nothing here knows what a finding is called.
"""

from __future__ import annotations

import importlib
import io
import optparse
import pkgutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyang.context
import pyang.error
import pyang.plugin
import pyang.plugins
import pyang.repository
from pyang.plugins import lint
from pyang.plugins import tree as pyang_tree

from nms.errors import ConfigError
from nms.model.library import standard_path

#: A pyang statement; the package carries no types.
Statement = Any

MAX_LINE = 120

#: What pyang's and yangson's own code raises on texts that it did not expect, as in a file that ends within a keyword.
DEFECTS = (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError)


@dataclass(slots=True, eq=False)
class Parsed:
    """A set of files, parsed and validated together.

    Attributes:
        modules: name -> module (or submodule) statement of the files asked for, in the order given.
        files: the same names -> the file.
        errors: (file, line, pyang's tag, text), in those files only.
    """

    context: Any
    modules: dict[str, Statement]
    files: dict[str, Path]
    errors: list[tuple[Path, int, str, str]]


def files_of(paths: Iterable[Path]) -> list[Path]:
    """The YANG files that `paths` name: files themselves, and of folders all they hold (the newest of each module).

    Raises:
        ConfigError: a path is not there, or no file is found.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            newest = {file.name.partition("@")[0].removesuffix(".yang"): file for file in sorted(path.glob("*.yang"))}
            found |= dict.fromkeys(newest.values())
        elif path.is_file():
            found[path] = None
        else:
            raise ConfigError(f"{path}: there is no such file or folder")
    if not found:
        raise ConfigError(f"no YANG file (*.yang) in {', '.join(map(str, paths)) or 'nothing'}")
    return list(found)


def folders_of(files: Sequence[Path], more: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Where the imports of `files` are looked for: beside them, in `more`, in the standard modules' folders."""
    return tuple(dict.fromkeys((*(file.parent for file in files), *more, *standard_path())))


def parse(files: Sequence[Path], path: Sequence[Path] = (), *, strict: bool = True) -> Parsed:
    """`files` and all that they import.

    Args:
        path: more folders where imports are looked for.
        strict: whether RFC 8407 counts too.

    Raises:
        ConfigError: a file cannot be read.
    """
    context = _context(folders_of(files, path))
    context.strict = context.canonical = strict
    if strict:
        context.max_line_len, context.max_identifier_len = MAX_LINE, 64
    modules: dict[str, Statement] = {}
    places: dict[str, Path] = {}
    for file in files:
        try:
            text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file}: {getattr(error, 'strerror', '') or 'the file is not UTF-8'}") from None
        try:
            module = context.add_module(str(file), text, primary_module=True)
        except DEFECTS:
            raise ConfigError(f"{file}: the text is so far from YANG that pyang gives up on it") from None
        if module is not None:
            modules[module.arg] = module
            places[module.arg] = file
    try:
        context.validate()
    except DEFECTS:
        names = ", ".join(map(str, files))
        raise ConfigError(f"{names}: pyang gives up on these modules; `pyang FILE` says more") from None
    wanted = {str(file): file for file in files}
    errors = {
        (wanted[position.ref], position.line, tag, _message(tag, arguments))
        for position, tag, arguments in context.errors
        if position.ref in wanted
    }
    return Parsed(context, modules, places, sorted(errors))


def refuse_invalid(files: Sequence[Path], path: Sequence[Path] = ()) -> Parsed:
    """`parse` without RFC 8407, of modules that must be valid.

    Raises:
        ConfigError: they are not: the first error's place and text.
    """
    parsed = parse(files, path, strict=False)
    for file, line, tag, text in parsed.errors:
        if is_error(tag):
            raise ConfigError(f"{file}:{line}: {text} (`nms model check` says more)")
    return parsed


def tree(paths: Iterable[Path], path: Sequence[Path] = (), *, depth: int | None = None, at: str | None = None) -> str:
    """The tree diagram of modules (RFC 8340).

    Args:
        depth: levels to show; None for all.
        at: a schema path without prefixes; the tree below it.

    Raises:
        ConfigError: a path holds no YANG file, or a module is not valid.
    """
    parsed = refuse_invalid(files_of(paths), path)
    drawn = io.StringIO()
    below = at.strip("/").split("/") if at else None
    pyang_tree.emit_tree(parsed.context, list(parsed.modules.values()), drawn, depth, None, below)
    if not drawn.getvalue().strip():
        raise ConfigError(f"there is no {at}" if at else "these modules define no nodes")
    return drawn.getvalue().rstrip("\n")


def _message(tag: str, arguments: Any) -> str:
    # pyang names the place of another definition by its absolute file: its name says enough.
    text: str = pyang.error.err_to_str(tag, arguments)
    return " ".join(_short(word) for word in text.split(" "))


def _short(word: str) -> str:
    return word.rpartition("/")[2] if ".yang" in word else word


def level(tag: str) -> int:
    """pyang's own severity: 1 critical, 2 major, 3 minor error, 4 warning."""
    return int(pyang.error.err_level(tag))


def walk(statement: Statement) -> Iterator[Statement]:
    """A statement and all below it, as they stand in the file."""
    yield statement
    for substatement in statement.substmts:
        yield from walk(substatement)


def schema_nodes(statement: Statement) -> Iterator[Statement]:
    """The schema nodes below a module or node, with groupings and augments expanded."""
    for child in getattr(statement, "i_children", ()):
        yield child
        yield from schema_nodes(child)


def is_error(tag: str) -> bool:
    """Whether the module is not valid YANG; the rest is advice."""
    return level(tag) <= 3 and not tag.startswith("LINT_") and tag != "LONG_IDENTIFIER"


def _context(folders: Sequence[Path]) -> Any:
    _set_up()
    context = pyang.context.Context(pyang.repository.FileRepository(":".join(map(str, folders)), use_env=False))
    context.opts = _set_up()
    context.implicit_errors = False
    return context


@cache
def _set_up() -> Any:
    """pyang's plug-ins and their options' defaults, and the lint functions switched on."""
    # As packages: `pyang.plugin.init` would import each by its bare name, and one of them is called `restconf`.
    for found in pkgutil.iter_modules(pyang.plugins.__path__):
        importlib.import_module(f"pyang.plugins.{found.name}").pyang_plugin_init()
    parser = optparse.OptionParser()
    for plugin in pyang.plugin.plugins:
        plugin.add_opts(parser)
    options, _ = parser.parse_args([])
    options.verbose = False
    options.lint_ensure_hyphenated_names = True
    options.old_path, options.old_deviation = [], []
    linter = lint.LintPlugin()
    linter._setup_ctx(_Switches(options))
    return options


class _Switches:
    """What the lint plug-in sets on a context; every context here sets its own."""

    def __init__(self, options: Any) -> None:
        self.opts = options
