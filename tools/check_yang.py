"""Checks the models: ``python -m tools.check_yang`` prints ``file:line: CODE message`` and ends with 1 if there is any.

| code | what |
| --- | --- |
| lint | pyang's own finding: RFC 7950 errors, RFC 8407 rules, hyphenated lower-case names |
| FILE | the file is ``NAME@REVISION.yang`` of its module and newest revision |
| NAME | the namespace is ``urn:mec-nms:yang:NAME``; the prefix is short and no other module's |
| LIST | lists and leaf-lists are named in the singular; their keys come first, in the order of `key` |
| UNIT | a count of time says its unit |
| PATH | an XPath has no ``//``: it would be evaluated over the whole datastore |
| LOAD | the server's own loader does not take the module |
| DATA | no example ``examples/NAME.json``, or one that does not validate (libyang says why) |
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import oopt_gnpy_libyang as libyang
import pyang.context
import pyang.repository

from nms.errors import ConfigError, RpcError, RpcErrors
from nms.model import json as instance_json
from nms.model.library import standard_path
from nms.model.load import load
from tools.models import ROOT, YANG, search_path, sources

NAMESPACE = "urn:mec-nms:yang:"
_SINGULAR_IN_S = ("ss", "us")
_TIME_WORDS = ("-time", "-interval", "-timeout")
_INTEGERS = ("uint8", "uint16", "uint32", "uint64")


class Finding(NamedTuple):
    """One thing that is wrong, and where; `line` is 0 where it concerns a whole file."""

    file: Path
    line: int
    code: str
    message: str

    def __str__(self) -> str:
        file = self.file.relative_to(ROOT) if self.file.is_relative_to(ROOT) else self.file
        return f"{file}:{self.line}: {self.code} {self.message}"


def check(folder: Path = YANG) -> list[Finding]:
    """Every finding in the modules of `folder` and their examples."""
    files = sources(folder)
    findings = [*_lint(folder, files.values()), *_house_rules(folder, files)]
    if any(finding.code == "lint" for finding in findings):
        return findings  # what does not parse cannot be loaded
    return [*findings, *_examples(folder, files)]


def _lint(folder: Path, files: Iterable[Path]) -> Iterator[Finding]:
    command = [
        sys.executable, "-m", "pyang", "-p", search_path(folder), "--lint", "--lint-ensure-hyphenated-names",
        f"--lint-namespace-prefix={NAMESPACE}", "--lint-modulename-prefix=mec", "--max-line-length=120",
        *map(str, files),
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    for text in result.stderr.splitlines():
        place, separator, message = text.partition(": ")
        file, _, line = place.rpartition(":")
        if separator and line.isdecimal():
            yield Finding(Path(file), int(line), "lint", message)
        else:
            yield Finding(folder, 0, "lint", text)


def _house_rules(folder: Path, files: dict[str, Path]) -> Iterator[Finding]:
    context = pyang.context.Context(pyang.repository.FileRepository(search_path(folder), use_env=False))
    prefixes: dict[str, str] = {}
    for name, file in files.items():
        module = context.add_module(str(file), file.read_text("utf-8"))
        if module is None:  # pyang's lint has said why
            continue
        newest = max((revision.arg for revision in module.search("revision")), default="")
        if file.name != f"{module.arg}@{newest}.yang":
            yield Finding(file, 1, "FILE", f"the file of this revision is {module.arg}@{newest}.yang")
        if (namespace := module.search_one("namespace").arg) != NAMESPACE + module.arg:
            yield Finding(file, module.pos.line, "NAME", f"namespace {namespace} is not {NAMESPACE}{module.arg}")
        prefix = module.search_one("prefix").arg
        if len(prefix) > 5 or prefix in prefixes:
            owner = prefixes.get(prefix)
            why = f"belongs to {owner}" if owner else "is longer than 5 characters"
            yield Finding(file, module.pos.line, "NAME", f"prefix {prefix} {why}")
        prefixes.setdefault(prefix, name)
        for statement in _walk(module):
            yield from _statement_rules(file, statement)


def _statement_rules(file: Path, statement: Any) -> Iterator[Finding]:
    line = statement.pos.line
    name = str(statement.arg)
    if statement.keyword in ("list", "leaf-list") and name.endswith("s") and not name.endswith(_SINGULAR_IN_S):
        yield Finding(file, line, "LIST", f"{statement.keyword} {name}: the name of one entry is wanted")
    if statement.keyword == "list" and (key := statement.search_one("key")):
        keys = key.arg.split()
        own = [child.arg for child in statement.substmts if child.keyword == "leaf"]
        if own[: len(keys)] != keys and set(keys) <= set(own):
            yield Finding(file, line, "LIST", f"list {name}: the keys {key.arg} do not come first")
    counts = statement.keyword == "leaf" and statement.search_one("type").arg in _INTEGERS
    if counts and name.endswith(_TIME_WORDS) and not statement.search_one("units"):
        yield Finding(file, line, "UNIT", f"leaf {name}: units are missing")
    if statement.keyword in ("must", "when", "path") and "//" in name:
        yield Finding(file, line, "PATH", f"{statement.keyword} searches the whole datastore: {name}")


def _walk(statement: Any) -> Iterator[Any]:
    yield statement
    for substatement in statement.substmts:
        yield from _walk(substatement)


def _examples(folder: Path, files: dict[str, Path]) -> Iterator[Finding]:
    try:
        schema = load((folder, *standard_path()), list(files))
    except ConfigError as error:
        yield Finding(folder, 0, "LOAD", str(error))
        return
    validate = validator(folder, files)
    for name, file in files.items():
        example = folder / "examples" / f"{name}.json"
        if not example.is_file():
            yield Finding(file, 1, "DATA", f"{example.name} is missing")
            continue
        text = example.read_text("utf-8")
        try:
            instance_json.decode(schema.root, json.loads(text))
        except (RpcError, RpcErrors, ValueError) as error:
            yield Finding(example, 1, "DATA", str(error))
        yield from (Finding(example, 1, "DATA", message) for message in validate(text))


def validator(folder: Path, names: Iterable[str]) -> Callable[[str], list[str]]:
    """What libyang finds wrong with a whole tree of instance data, a JSON text; nothing when it is valid."""
    libyang.set_log_options(libyang.LogOptions.Store)
    context = libyang.Context(search_path(folder), libyang.ContextOptions.NoYangLibrary)
    for name in sorted(names, key=lambda name: name != "mec-types"):  # identities are known once it is implemented
        context.load_module(name)
    strict, complete = libyang.ParseOptions.Strict, libyang.ValidationOptions.Present

    def validate(text: str) -> list[str]:
        context.clean_all_errors()
        try:
            context.parse_data(text, libyang.DataFormat.JSON, strict, complete)
        except libyang.Error as error:
            return [f"{found.message} ({found.data_path})" for found in context.errors()] or [str(error)]
        return []

    return validate


def main() -> int:
    """Print the findings; 0 when there are none."""
    findings = sorted(check())
    for finding in findings:
        print(finding)
    return int(bool(findings))


if __name__ == "__main__":
    sys.exit(main())
