"""All checks of modules together: pyang, the rules on statements, the engine, the cost of XPath, the examples.

The schema is loaded once for all modules; only where they do not fit together each is loaded by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from nms.errors import ConfigError
from nms.model.schema import Schema
from tools.model.change_cost import wide
from tools.model.engine import compiled
from tools.model.finding import Finding, found
from tools.model.instances import check_file
from tools.model.owners import unowned
from tools.model.parsed import Parsed, Statement, files_of, folders_of, is_error, parse, schema_nodes
from tools.model.rules import code_of_pyang
from tools.model.statement_rules import is_ours, statement_rules
from tools.model.xpath_cost import CODES, costs, engine_node

_EXAMPLE = {"read": "NMS602", "shape": "NMS603", "constraint": "NMS604"}


def check(paths: Iterable[Path], path: Sequence[Path] = (), *, owners: Collection[str] | None = None) -> list[Finding]:
    """Every finding in the modules that `paths` name, sorted by file and line.

    Args:
        path: more folders where imports are looked for.
        owners: schema paths that the providers of a server name; None: it is not asked who owns what.

    Raises:
        ConfigError: a path does not exist or holds no YANG file, or an owner's path is not in the modules.
    """
    files = files_of(paths)
    parsed = parse(files, path)
    findings = set(_pyang(parsed, files))
    findings |= set(statement_rules(parsed))
    broken = {file for file, _, tag, _ in parsed.errors if is_error(tag)}
    sound = {
        name: module
        for name, module in parsed.modules.items()
        if _findable(name, module, parsed.files[name])
        and parsed.files[name] not in broken
        and not _imports(module, parsed, broken)
    }
    folders = folders_of(files, path)
    schemas, failures = _load(folders, sound)
    for name, why in failures.items():
        findings.add(found("NMS112", parsed.files[name], sound[name].pos.line, why, ours=is_ours(sound[name])))
    for name, schema in schemas.items():
        findings |= set(_costs(schema, sound[name]))
        findings |= set(_changes(schema, sound[name]))
        findings |= set(_examples(schema, parsed.files[name], sound[name]))
        if owners is not None:
            findings |= set(_unowned(schema, sound[name], owners))
    return sorted(findings)


def _pyang(parsed: Parsed, files: Sequence[Path]) -> Iterator[Finding]:
    ours = {parsed.files[name] for name, module in parsed.modules.items() if is_ours(module)}
    unread = set(files) - set(parsed.files.values())
    for file, line, tag, text in parsed.errors:
        code = code_of_pyang(tag, text, error=is_error(tag))
        own = file in ours or (file in unread and file.name.startswith("mec-"))
        yield found(code, file, line, text, ours=own)


def _findable(name: str, module: Statement, file: Path) -> bool:
    """Whether the loader can find a module by its name; a submodule comes with its module."""
    return module.keyword == "module" and file.name.partition("@")[0].removesuffix(".yang") == name


def _imports(module: Statement, parsed: Parsed, broken: set[Path]) -> bool:
    """Whether a module needs one that is broken."""
    needed = {statement.arg for keyword in ("import", "include") for statement in module.search(keyword)}
    return any(parsed.files[name] in broken for name in needed if name in parsed.files)


def _load(folders: Sequence[Path], names: Iterable[str]) -> tuple[dict[str, Schema], dict[str, str]]:
    """The schema of each module, one for all if they fit together, and why a module has none."""
    names = list(names)
    try:
        schema = compiled(folders, _all_features(names))
    except ConfigError as error:
        if len(names) == 1:
            return {}, {names[0]: str(error)}
    else:
        return dict.fromkeys(names, schema), {}
    schemas: dict[str, Schema] = {}
    failures: dict[str, str] = {}
    for name in names:
        try:
            schemas[name] = compiled(folders, _all_features([name]))
        except ConfigError as error:
            failures[name] = str(error)
    return schemas, failures


def _all_features(names: Iterable[str]) -> list[str]:
    return [f"{name}:*" for name in names]


def _costs(schema: Schema, module: Statement) -> Iterator[Finding]:
    for cost in costs(schema, module):
        statement = cost.statement
        if statement.pos.ref != module.pos.ref:
            continue  # it stands in a grouping of another file
        reads = f", reads {', '.join(cost.lists)}" if cost.lists else ""
        text = f"{cost.kind}: {statement.keyword} {statement.arg} of {cost.context}{reads}"
        yield found(CODES[cost.kind], Path(statement.pos.ref), statement.pos.line, text, ours=is_ours(module))


def _changes(schema: Schema, module: Statement) -> Iterator[Finding]:
    for one in wide(schema, module):
        text = f"{one.name}: every entry of {', '.join(one.lists)} after a change of {_some(one.causes)}"
        yield found("NMS505", Path(one.statement.pos.ref), one.statement.pos.line, text, ours=is_ours(module))


def _some(paths: Sequence[str]) -> str:
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


def _unowned(schema: Schema, module: Statement, owners: Collection[str]) -> Iterator[Finding]:
    statements = {id(engine_node(schema, statement)): statement for statement in schema_nodes(module)}
    for node in unowned(schema, owners):
        if (statement := statements.get(id(node))) is not None:
            text = f"{node.kind} {node.path} has no owner"
            yield found("NMS701", Path(statement.pos.ref), statement.pos.line, text, ours=is_ours(module))


def _examples(schema: Schema, file: Path, module: Statement) -> Iterator[Finding]:
    ours = is_ours(module)
    candidates = [file.parent / "examples" / f"{module.arg}.{suffix}" for suffix in ("json", "xml")]
    present = [example for example in candidates if example.is_file()]
    if not present and ours:
        yield found("NMS601", file, 1, f"examples/{candidates[0].name} is missing", ours=ours)
    for example in present:
        for fault in check_file(schema, example):
            yield found(_EXAMPLE[fault.kind], example, fault.line, fault.message, ours=ours)
