"""Rules on statements as they stand in the file: documentation, units, what is not used, our names (RFC 8407).

Each rule is a function from a statement (or a set of modules) to messages; the tables at the end say which is asked
where.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from tools.model.finding import Finding, found
from tools.model.parsed import Parsed, Statement, walk

NAMESPACE: Final = "urn:mec-nms:yang:"
_SINGULAR_IN_S: Final = ("ss", "us")
_TIME_WORDS: Final = ("-time", "-interval", "-timeout", "-period", "-duration")
_NUMBERS: Final = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "decimal64")
_UNIT: Final = re.compile(
    r"\bin (?:(?:milli|micro|nano|centi)?seconds|minutes|hours|(?:kilo|mega|giga)?(?:bytes|bits))\b"
)
_SPECIFICATION: Final = re.compile(r"\bRFC ?\d{3,5}\b|\bETSI (?:GS|TS|GR) |\b3GPP TS ?\d")
_DOCUMENTED: Final = (
    "container", "leaf", "leaf-list", "list", "choice", "anydata", "anyxml", "rpc", "action", "notification",
    "typedef", "grouping", "identity", "feature", "extension", "augment",
)  # fmt: skip


def is_ours(module: Statement) -> bool:
    """Whether a module (or the one a submodule belongs to) is in this project's namespace."""
    namespace = module.search_one("namespace")
    if namespace is not None:
        return str(namespace.arg).startswith(NAMESPACE)
    return str(module.arg).startswith("mec-")


def statement_rules(parsed: Parsed) -> Iterator[Finding]:
    """What the rules of this file find in the modules of `parsed`."""
    used = _used(parsed)
    prefixes: dict[str, str] = {}
    for name, module in parsed.modules.items():
        ours, file = is_ours(module), parsed.files[name]
        for code, line, message in _module_rules(module, file, prefixes, used, ours=ours):
            yield found(code, file, line, message, ours=ours)
        for statement in walk(module):
            for code, rule in _STATEMENT.items():
                if (ours or not code.startswith("NMS4")) and (message := rule(statement)):
                    yield found(code, file, statement.pos.line, message, ours=ours)


def _module_rules(
    module: Statement, file: Path, prefixes: dict[str, str], used: Mapping[str, set[int]], *, ours: bool
) -> Iterator[tuple[str, int, str]]:
    name, line = module.arg, module.pos.line
    newest = max((revision.arg for revision in module.search("revision")), default="")
    full = f"{name}@{newest}.yang"
    if ours and file.name != full:
        yield "NMS401", 1, f"the file of this revision is {full}"
    elif file.name not in (full, f"{name}.yang"):
        yield "NMS209", 1, f"{file.name} is not {name}.yang, nor {full}"
    if ours and module.keyword == "module":
        if (namespace := _argument(module, "namespace")) != NAMESPACE + name:
            yield "NMS402", line, f"namespace {namespace} is not {NAMESPACE}{name}"
        prefix = _argument(module, "prefix")
        if len(prefix) > 5 or prefix in prefixes:
            owner = prefixes.get(prefix)
            why = f"belongs to {owner}" if owner else "is longer than 5 characters"
            yield "NMS403", line, f"prefix {prefix} {why}"
        prefixes.setdefault(prefix, name)
    if not any(module.search(keyword) for keyword in ("container", "list", "rpc", "notification", "leaf")):
        return  # a module of reusable definitions only: others use them
    for keyword, code in (("typedef", "NMS305"), ("grouping", "NMS306")):
        for statement in module.search(keyword):
            if id(statement) not in used[keyword]:
                yield code, statement.pos.line, f"no module at hand uses {keyword} {statement.arg}"


def _used(parsed: Parsed) -> dict[str, set[int]]:
    used: dict[str, set[int]] = {"typedef": set(), "grouping": set()}
    for module in parsed.context.modules.values():
        for statement in walk(module) if module is not None else ():
            for keyword, attribute in (("typedef", "i_typedef"), ("grouping", "i_grouping")):
                if (target := getattr(statement, attribute, None)) is not None:
                    used[keyword].add(id(target))
    return used


def _no_reference(statement: Statement) -> str:
    description = statement.search_one("description")
    if statement.keyword not in _DOCUMENTED or description is None:
        return ""
    named = _SPECIFICATION.search(description.arg)
    return f"{_title(statement)} names {named[0].strip()}" if named and not statement.search_one("reference") else ""


def _no_units(statement: Statement) -> str:
    if statement.keyword not in ("leaf", "leaf-list"):
        return ""
    type_ = statement.search_one("type")
    if type_ is None or type_.arg not in _NUMBERS or statement.search_one("units"):
        return ""
    description = statement.search_one("description")
    said = _UNIT.search(description.arg) if description is not None else None
    return f"{_title(statement)}: units are missing" if said or str(statement.arg).endswith(_TIME_WORDS) else ""


def _plural(statement: Statement) -> str:
    name = str(statement.arg)
    plural = name.endswith("s") and not name.endswith(_SINGULAR_IN_S)
    wanted = statement.keyword in ("list", "leaf-list") and plural
    return f"{_title(statement)}: the name of one entry is wanted" if wanted else ""


def _keys_not_first(statement: Statement) -> str:
    key = statement.search_one("key") if statement.keyword == "list" else None
    if key is None:
        return ""
    keys = key.arg.split()
    own = [child.arg for child in statement.substmts if child.keyword == "leaf"]
    wrong = own[: len(keys)] != keys and set(keys) <= set(own)
    return f"{_title(statement)}: the keys {key.arg} do not come first" if wrong else ""


def _no_description(statement: Statement) -> str:
    # pyang's lint knows the required ones of RFC 8407; actions and anydata came later.
    wanted = statement.keyword in ("action", "anydata") and statement.search_one("description") is None
    return f"{_title(statement)} has no description" if wanted else ""


def _argument(statement: Statement, keyword: str) -> str:
    found = statement.search_one(keyword)
    return str(found.arg) if found is not None else ""


def _title(statement: Statement) -> str:
    return f"{statement.keyword} {statement.arg}"


_STATEMENT: Final[Mapping[str, Callable[[Statement], str]]] = {
    "NMS301": _no_description,
    "NMS302": _no_reference,
    "NMS303": _no_units,
    "NMS404": _plural,
    "NMS405": _keys_not_first,
}
