"""One side of a comparison: the modules that a file, a folder or ``GITREV:PATH`` names, parsed and compiled.

The files are put into a folder of their own, so that two revisions of one module that lie side by side do not take
each other's place on the search path.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nms.errors import ConfigError
from nms.model.library import standard_path
from nms.model.schema import Node, Schema
from tools.model.engine import compiled
from tools.model.parsed import Parsed, Statement, files_of, is_error, parse, schema_nodes
from tools.model.xpath_cost import engine_node


@dataclass(slots=True, eq=False)
class Edition:
    """Modules at one time.

    Attributes:
        modules: name -> statement of the modules that are compared.
        origins: name of a file -> the file as its author knows it.
        nodes: schema path -> the engine's node, of all nodes these modules define.
        statements: schema path -> pyang's statement of the node.
    """

    parsed: Parsed
    schema: Schema
    modules: dict[str, Statement]
    origins: dict[str, str]
    nodes: dict[str, Node]
    statements: dict[str, Statement]

    def place(self, statement: Statement | None) -> tuple[str, int]:
        """File and line of a statement, wherever a grouping brought it from."""
        if statement is None:
            return "", 0
        name = Path(statement.pos.ref).name
        return self.origins.get(name, name), int(statement.pos.line)


def open_edition(spec: str, path: Sequence[Path] = ()) -> Edition:
    """Read what `spec` names: a YANG file, a folder of them, or either at a git revision (``v1.2:yang``).

    Raises:
        ConfigError: nothing is there, git does not know it, or the modules are not valid.
    """
    with tempfile.TemporaryDirectory(prefix="nms-model-") as name:
        folder = Path(name)
        if Path(spec).exists():
            asked = files_of([Path(spec)])
            others = [f for parent in {file.parent for file in asked} for f in files_of([parent])]
            origins = {file.name: str(file) for file in asked}
            _copy(asked, others, folder)
        else:
            origins = _checkout(spec, folder)
        files = [folder / name for name in origins]
        return edition_of(files, origins, (folder, *path))


def _copy(asked: Sequence[Path], others: Sequence[Path], folder: Path) -> None:
    names = {file.name.partition("@")[0].removesuffix(".yang") for file in asked}
    beside = [file for file in others if file.name.partition("@")[0].removesuffix(".yang") not in names]
    for file in (*asked, *beside):
        shutil.copyfile(file, folder / file.name)


def _checkout(spec: str, folder: Path) -> dict[str, str]:
    """Write the YANG files of ``GITREV:PATH`` to `folder`; the asked ones' names and origins."""
    revision, separator, place = spec.partition(":")
    if not separator or not place or revision.startswith("-"):
        raise ConfigError(f"{spec}: there is no such file or folder (of a git revision: REVISION:PATH)")
    single = place.endswith(".yang")
    parent = str(Path(place).parent) if single else place.rstrip("/")
    listed = _git("ls-tree", "--name-only", revision, "--", f"{parent}/").decode().split("\n")
    names = {Path(line).name: line for line in listed if line.endswith(".yang")}
    for name, line in names.items():
        (folder / name).write_bytes(_git("show", f"{revision}:./{line}"))
    wanted = [Path(place).name] if single else [file.name for file in files_of([folder])] if names else []
    if not wanted or not set(wanted) <= set(names):
        raise ConfigError(f"{spec}: no YANG file there")
    return {name: f"{revision}:{names[name]}" for name in wanted}


def _git(*arguments: str) -> bytes:
    try:
        return subprocess.run(["git", *arguments], check=True, capture_output=True).stdout
    except FileNotFoundError:
        raise ConfigError("git is not installed: name a file or a folder") from None
    except subprocess.CalledProcessError as error:
        why = error.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
        raise ConfigError(f"git {' '.join(arguments[:1])}: {why}") from None


def edition_of(files: Sequence[Path], origins: dict[str, str], path: Sequence[Path]) -> Edition:
    """The edition of `files`; `origins` has, by their names, what they are called in messages.

    Raises:
        ConfigError: the modules are not valid.
    """
    parsed = parse(files, path, strict=False)
    for file, line, tag, text in parsed.errors:
        if is_error(tag):
            raise ConfigError(f"{origins[file.name]}:{line}: {text} (`nms model check` says more)")
    modules = {name: module for name, module in parsed.modules.items() if module.keyword == "module"}
    try:
        schema = compiled((*path, *standard_path()), [f"{name}:*" for name in modules])
    except ConfigError as error:
        names = ", ".join(origins[parsed.files[name].name] for name in modules)
        raise ConfigError(f"{names}: {error}") from None
    statements: dict[str, Statement] = {}
    for module in parsed.context.modules.values():
        for statement in schema_nodes(module) if module is not None else ():
            if statement.keyword not in ("choice", "case") and (node := engine_node(schema, statement)) is not None:
                statements[node.path] = statement
    nodes = {node.path: node for node in _all(schema) if node.module in modules}
    return Edition(parsed, schema, modules, origins, nodes, statements)


def _all(schema: Schema) -> list[Node]:
    """Every node, parents before children."""
    found: list[Node] = []
    queue = [*schema.root.children, *schema.rpcs.values(), *schema.notifications.values()]
    while queue:
        node = queue.pop(0)
        found.append(node)
        queue += [*node.children, *node.actions, *node.notifications]
    return found
