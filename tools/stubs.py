"""The typed face of the bindings: a stub (PEP 484) for each module's classes, which pyangbind makes at run time.

Type checkers and editors read it: a wrong leaf name, a value of the wrong type and an enumeration's or identity's
unknown name are errors before anything runs.  The types are the compiled schema's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from pyangbind.lib.yangtypes import safe_name

from nms.model.load import load
from nms.model.schema import Node
from nms.model.types import Type

_HEAD: Final = '''"""Generated from yang/ by tools/stubs.py."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Literal

from bindings.typing import Entries, LeafList
'''

_PLAIN: Final = {"string": "str", "boolean": "bool", "empty": "bool", "decimal64": "Decimal", "binary": "bytes"}


def write(target: Path, folder: Path, modules: list[str]) -> None:
    """Write the stubs of `modules` of the models in `folder` beside their classes in `target`."""
    root = load([folder], [f"{name}:*" for name in modules]).root
    named = []
    for module in modules:
        tops = [child for child in root.children if child.module == module]
        package = target / safe_name(module)
        if not package.is_dir():
            continue
        name = _class(module)
        named.append((module, name))
        lines = [_HEAD, *_body(name, tops, module), f"{safe_name(module)} = {name}", ""]
        (package / "__init__.pyi").write_text("\n".join(lines), "utf-8")
    _write_build(target / "face.pyi", named)


def _write_build(file: Path, named: list[tuple[str, str]]) -> None:
    imports = [f"from bindings.gen.{safe_name(module)} import {name}" for module, name in named]
    overloads = [f'@overload\ndef build(module: Literal["{module}"]) -> {name}: ...' for module, name in named]
    # What is not known before it runs is known to be nothing in particular.
    last = "@overload\ndef build(module: str) -> Any: ..."
    head = '"""Generated from yang/ by tools/stubs.py."""\n\nfrom typing import Any, Literal, overload\n'
    file.write_text("\n".join([head, *imports, "", *overloads, last, ""]), "utf-8")


def _body(name: str, children: list[Node], above: str) -> Iterator[str]:
    """The classes of the nodes below, then that of the node itself."""
    for child in children:
        if child.kind in ("container", "list"):
            yield from _body(_class(f"{name} {child.name}"), list(child.children), child.path)
    yield f"class {name}:"
    yield f'    """{above}"""'
    for child in children:
        yield from (f"    {line}" for line in _attribute(name, child))
    yield ""


def _attribute(owner: str, node: Node) -> list[str]:
    attribute = safe_name(node.name)
    inner = _class(f"{owner} {node.name}")
    if node.kind == "container":
        return _read_only(attribute, inner)
    if node.kind == "list":
        return _read_only(attribute, f"Entries[{inner}]")
    if node.type is None:
        return _read_only(attribute, "Any")
    read, written = of(node.type), of(node.type)
    if node.kind == "leaf-list":
        read, written = f"LeafList[{read}]", f"Iterable[{read}]"
    if "Decimal" in written:
        written = f"{written} | str"
    setter = [f"def _set_{attribute}(self, value: {written}) -> None: ..."]
    if not node.config:
        return [*_read_only(attribute, read), *setter]
    return [
        *_read_only(attribute, read),
        f"@{attribute}.setter",
        f"def {attribute}(self, value: {written}) -> None: ...",
        *setter,
    ]


def _read_only(attribute: str, kind: str) -> list[str]:
    return ["@property", f"def {attribute}(self) -> {kind}: ..."]


def of(type_: Type) -> str:
    """The annotation of a YANG type: names of enumerations and identities as literals, the latter with modules too."""
    if type_.base == "union":
        return " | ".join(dict.fromkeys(of(member) for member in type_.members))
    if type_.base == "enumeration":
        return _literal(type_.enums)
    if type_.base == "identityref":
        return _literal({**{n.rpartition(":")[2]: 0 for n in type_.identities}, **dict.fromkeys(type_.identities, 0)})
    return "int" if type_.base.startswith(("int", "uint")) else _PLAIN.get(type_.base, "str")


def _literal(names: Collection[str]) -> str:
    return f"Literal[{', '.join(map(repr, sorted(names)))}]" if names else "str"


def _class(name: str) -> str:
    return "".join(word[0].upper() + word[1:] for word in name.replace("-", " ").replace(".", " ").split(" ") if word)
