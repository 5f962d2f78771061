"""Which YANG modules a server has: found on a search path, closed under import and include (RFC 7950 section 5.6).

Which of them are implemented and which only imported follows section 5.6.5: the ones named, those they augment, deviate
or refer to, and those that define nothing but types, groupings and identities.
"""

from __future__ import annotations

import re
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pyang
from yangson import exceptions as yangson_errors
from yangson.statement import Statement

from nms.errors import ConfigError
from nms.model import module_parser


def standard_path() -> tuple[Path, ...]:
    """Folders of the IETF and IANA modules that the pyang package installs, and of those it does not have."""
    roots = [Path(sysconfig.get_path("data")), *Path(pyang.__file__).resolve().parents]
    for root in roots:
        folder = root / "share" / "yang" / "modules"
        if folder.is_dir():
            return (folder / "ietf", folder / "iana", Path(__file__).parent / "standard")
    raise ConfigError("the standard YANG modules are missing: reinstall the package pyang")


@dataclass(slots=True)
class Source:
    """A parsed module file and how it takes part in the set."""

    name: str
    file: Path
    statement: Statement
    implemented: bool = False
    features: set[str] = field(default_factory=set)

    @property
    def revision(self) -> str:
        newest = self.statement.find1("revision")  # yangson takes the first one as the module's revision
        return str(newest.argument) if newest else ""

    def argument(self, keyword: str) -> str:
        found = self.statement.find1(keyword)
        return str(found.argument) if found else ""

    def prefixes(self) -> dict[str, str]:
        return {str(s.find1("prefix").argument): str(s.argument) for s in self.statement.find_all("import")}


class Library:
    """The modules of a set, found on the search path and closed under import and include."""

    def __init__(self, path: Sequence[Path]) -> None:
        self.path = path
        self.sources: dict[str, Source] = {}
        self.submodules: dict[str, list[Source]] = {}

    def add(self, name: str, features: Iterable[str] = (), *, implement: bool, wanted_by: str = "") -> Source:
        """Add a module and what it needs; `features` may be ("*",)."""
        source = self.sources.get(name)
        if source is None:
            source = self.sources[name] = self._read(name, wanted_by)
            self.submodules[name] = [self._read(n, name) for n in self._includes(source)]
            for statement in self._statements(source):
                for imported in statement.find_all("import"):
                    self.add(str(imported.argument), implement=False, wanted_by=name)
            if self._is_reusable_only(source):
                source.implemented = True
        declared = {str(f.argument) for s in self._statements(source) for f in s.find_all("feature")}
        wanted = declared if "*" in (asked := set(features)) else asked
        if unknown := wanted - declared:
            known = ", ".join(sorted(declared)) or "it has none"
            raise ConfigError(f"module {name} has no feature {min(unknown)!r} (features: {known})")
        source.features |= wanted
        if implement and not source.implemented:
            source.implemented = True
        if implement:
            for target in self._touched(source):
                if not self.sources[target].implemented:
                    self.add(target, implement=True)
        return source

    def _read(self, name: str, wanted_by: str) -> Source:
        candidates = [
            file
            for folder in self.path
            for file in (*sorted(folder.glob(f"{name}@*.yang"), reverse=True), folder / f"{name}.yang")
            if file.is_file()
        ]
        if not candidates:
            where = ", ".join(map(str, self.path))
            raise ConfigError(f"YANG module {name!r}{f' (wanted by {wanted_by})' * bool(wanted_by)} is not in {where}")
        statement = _parse(candidates[0])
        if statement.argument != name:
            raise ConfigError(f"{candidates[0]} is the module {statement.argument}, not {name}")
        return Source(name, candidates[0], statement)

    def _statements(self, source: Source) -> Iterator[Statement]:
        yield source.statement
        for sub in self.submodules[source.name]:
            yield sub.statement

    def _includes(self, source: Source) -> list[str]:
        names: list[str] = []
        queue = [str(s.argument) for s in source.statement.find_all("include")]
        while queue:
            name = queue.pop(0)
            if name not in names:
                names.append(name)
                queue += [str(s.argument) for s in self._read(name, source.name).statement.find_all("include")]
        return names

    def _is_reusable_only(self, source: Source) -> bool:
        kinds = {s.keyword for statement in self._statements(source) for s in statement.substatements}
        return not kinds & {"container", "list", "leaf", "leaf-list", "choice", "anydata", "anyxml", "rpc",
                            "notification", "augment", "deviation", "uses"}  # fmt: skip

    def _touched(self, source: Source) -> set[str]:
        """Modules whose data nodes this one augments, deviates or refers to."""
        touched: set[str] = set()
        for statement in self._statements(source):
            prefixes = {str(s.find1("prefix").argument): str(s.argument) for s in statement.find_all("import")}
            for expression in _expressions(statement):
                touched |= {prefixes[p] for p in PREFIX.findall(expression) if p in prefixes}
            touched |= {m for m in prefixes.values() if self._has_reference_types(m)}
        return touched - {source.name}

    def _has_reference_types(self, name: str) -> bool:
        """Does a module define leafref types, which whoever uses them needs the data of?"""
        typedefs = (t for s in self._statements(self.sources[name]) for t in s.find_all("typedef"))
        return any(t.find1("type").find1("path") is not None for t in typedefs)

    def statements(self) -> dict[str, Statement]:
        """Modules and submodules by their names."""
        every = (*self.sources.values(), *(sub for subs in self.submodules.values() for sub in subs))
        return {source.name: source.statement for source in every}

    def as_yangson(self) -> dict[str, Any]:
        """The library in the form of RFC 7895, which yangson reads."""
        modules = []
        for source in self.sources.values():
            entry: dict[str, Any] = {
                "name": source.name,
                "revision": source.revision,
                "namespace": source.argument("namespace"),
                "conformance-type": "implement" if source.implemented else "import",
                "feature": sorted(source.features),
            }
            if subs := self.submodules[source.name]:
                entry["submodule"] = [{"name": s.name, "revision": s.revision} for s in subs]
            modules.append(entry)
        return {"ietf-yang-library:modules-state": {"module-set-id": "nms", "module": modules}}


PREFIX = re.compile(r"(?<![\w.-])([A-Za-z_][\w.-]*):(?=[A-Za-z_*])")


def _expressions(statement: Statement) -> Iterator[str]:
    """Arguments of this statement's subtree that refer to data nodes; groupings count where they are used."""
    for child in statement.substatements:
        if child.keyword in ("augment", "deviation") and str(child.argument).startswith("/"):
            yield str(child.argument)
        if child.keyword in ("path", "must", "when"):
            # Names in string literals (identities) are no data nodes.
            yield re.sub(r"'[^']*'|\"[^\"]*\"", "", str(child.argument))
        yield from _expressions(child)


@cache
def _parse(file: Path) -> Statement:
    try:
        return module_parser.parse(file.read_text(encoding="utf-8"))
    except (yangson_errors.YangsonException, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not a YANG module: {error or type(error).__name__}") from None
