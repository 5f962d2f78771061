"""Writes a model down as modules, in one of the many ways that YANG has for the same tree.

What a tree comes to must not depend on how it is written: groups become groupings of this module, its submodule or
another module, with refinements; subtrees come by augments; properties by deviations; types by typedefs; nodes hang on
features that are on, beside others that are off or deviated away (RFC 7950 sections 5.1, 7.13, 7.17, 7.20).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tests.fuzz.leaf_types import IDENTITIES, OWN, text_of
from tests.fuzz.model import Model, Node

FEATURES = ("f0", "f1", "f2")
_NAME = re.compile(r"\{(n\d+)\}")
#: The modules a file imports beside its own; `fs` is the submodule of `fa`, `fc` holds groupings only.
IMPORTS = {
    "ft": (),
    "fc": ("ft",),
    "fs": ("ft", "fc"),
    "fa": ("ft", "fc"),
    "fb": ("ft", "fc", "fa"),
    "fd": ("ft", "fa", "fb"),
}


@dataclass(slots=True)
class Written:
    """A model as text.

    Attributes:
        files: file name without suffix -> text.
        features: those of module `ft` that are on.
        ghosts: names of nodes in the text that the schema must not have, by the name of their parent.
    """

    files: dict[str, str]
    features: list[str]
    ghosts: dict[str, list[str]] = field(default_factory=dict)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Printer:
    """Writes one model; `plain` leaves all the variations out."""

    def __init__(self, rng: Random, model: Model, *, plain: bool = False) -> None:
        self.rng = rng
        self.model = model
        self.by_name = {n.name: n for n in model.nodes()}
        self.bodies: dict[str, list[str]] = {name: [] for name in IMPORTS}
        self.refinements: dict[Node, list[str]] = {}
        self.on = [f for f in FEATURES if rng.random() < 0.5]
        self.ghosts: dict[str, list[str]] = {}
        self.variety = 0.0 if plain else rng.choice([0.0, 0.1, 0.3])
        self.uses_file: dict[Node, str] = {}

    def write(self) -> Written:
        top = "\n".join(self.statement(child, "fa") for child in self.model.root.children)
        self.bodies["fa"].append(top)
        heads = {name: self._head(name) for name in IMPORTS}
        files = {name: heads[name] + "\n".join(self.bodies[name]) + "\n}\n" for name in IMPORTS}
        return Written(files, self.on, self.ghosts)

    def _head(self, name: str) -> str:
        imports = "".join(f"  import {m} {{ prefix {m}; }}\n" for m in IMPORTS[name])
        if name == "fs":
            return f"submodule fs {{\n  yang-version 1.1;\n  belongs-to fa {{ prefix fa; }}\n{imports}"
        head = f'module {name} {{\n  yang-version 1.1;\n  namespace "urn:{name}";\n  prefix {name};\n{imports}'
        if name == "ft":
            head += "".join(f"  feature {f};\n" for f in FEATURES) + _identities(IDENTITIES, "ft")
        if name == "fa":
            head += "  include fs;\n" + _identities(OWN, "ft")
        return head

    def _maybe(self, factor: float = 1.0) -> bool:
        return self.rng.random() < self.variety * factor

    # names and paths

    def expression(self, text: str, node: Node, file: str) -> str:
        """A condition with its names qualified as their place asks for."""

        def name(match: re.Match[str]) -> str:
            target = self.by_name[match[1]]
            own = target.module == node.module
            reachable = file != "fc" and target.module in (*IMPORTS[file], "fa" if file == "fs" else file)
            if own and (not reachable or (file != "fd" and self.rng.random() < 0.5)):
                return target.name
            return f"{target.module}:{target.name}"

        return quoted(_NAME.sub(name, text))

    def steps(self, node: Node, below: Node | None = None) -> list[Node]:
        """Schema nodes down to `node`, implicit cases as their node."""
        found: list[Node] = []
        for step in (node, *node.up()):
            if step is below or step.keyword == "root":
                break
            if step.keyword in ("uses", "augment"):
                continue
            found.append(step)
            above = next(n for n in step.up() if n.keyword not in ("uses", "augment"))
            if above.keyword == "choice" and step.keyword != "case":
                found.append(step)
        return found[::-1]

    def schema_path(self, node: Node, last: Node | None = None) -> str:
        names = [f"/{step.module}:{step.name}" for step in self.steps(node)]
        if last is not None and len(names) > 1 and names[-1] == names[-2] and last.keyword == "case":
            names.pop()
        return "".join(names)

    # statements

    def statement(self, node: Node, file: str) -> str:
        """The statement of a node, or of the group that it stands for; what belongs elsewhere goes there."""
        if node.keyword == "uses":
            return self._uses(node, file)
        if node.keyword == "augment":
            return self._augment(node, file)
        inner: list[str] = []
        if node.when:
            inner.append(f"when {self.expression(node.when, node, file)};")
        if not node.is_key() and self._maybe():
            inner.append(f"if-feature {quoted(self._feature(True))};")
        if node.keyword == "list" and node.keys:
            inner.append(f'key "{" ".join(k.name for k in node.keys)}";')
        if not node.config and node.parent is not None and node.parent.config:
            inner.append("config false;")
        if node.user_ordered:
            inner.append("ordered-by user;")
        inner += self._properties(node, file)
        for child in node.children:
            text = self.statement(child, file)
            inner.append(text)
        if node.keyword == "container" and self._maybe():
            inner.append(self._ghost(node))
        return f"{node.keyword} {node.name} {{ {' '.join(filter(None, inner))} }}\n"

    def _properties(self, node: Node, file: str) -> list[str]:
        """Sub-statements that may also come by refinement or deviation."""
        rows: list[tuple[str, Callable[[str], str]]] = []
        if node.type is not None:
            text = node.type.statement
            default = node.defaults[0] if len(node.defaults) == 1 else None
            if "leafref" not in text and "fa:" not in text and self._maybe():
                own_default = (
                    default is not None and "fa:" not in str(default) and not node.least and self.rng.random() < 0.5
                )
                typedef = f"t{node.number}"
                tail = f" default {quoted(text_of(default))};" if own_default else ""
                self.bodies["ft"].append(f"  typedef {typedef} {{ {text}{tail} }}")
                text = f"type ft:{typedef};"
                default = None if own_default else default
            else:
                own_default = False
            rows.append(("type", lambda f: _unquote(self.expression(text, node, f))))
            if not own_default:
                for value in node.defaults:
                    rows.append(("default", lambda f, v=value: f"default {quoted(text_of(v))};"))
        if node.default_case is not None:
            rows.append(("default", lambda f: f"default {node.default_case.name};"))  # type: ignore[union-attr]
        if node.mandatory:
            rows.append(("mandatory", lambda f: "mandatory true;"))
        if node.presence:
            rows.append(("presence", lambda f: 'presence "there";'))
        if node.least:
            rows.append(("min-elements", lambda f: f"min-elements {node.least};"))
        if node.most is not None:
            rows.append(("max-elements", lambda f: f"max-elements {node.most};"))
        for must in node.musts:
            rows.append(("must", lambda f, m=must: f"must {self.expression(m, node, f)};"))
        for unique in node.uniques:
            routes = [self.steps(leaf, node) for leaf in unique]
            rows.append(("unique", lambda f, r=routes: f'unique "{_routes(r, f)}";'))
        inner = []
        owner = next((n for n in node.up() if n.keyword in ("uses", "augment")), None)
        owner = owner if owner is not None and owner.keyword == "uses" else None
        for kind, render in rows:
            if owner is not None and kind in _REFINABLE and len(node.defaults) < 2 and self._maybe():
                path = "/".join(step.name for step in self.steps(node, owner))
                where = self.uses_file[owner]
                self.refinements.setdefault(owner, []).append(f'refine "{path}" {{ {render(where)} }}')
            elif kind != "presence" and not node.is_key() and len(node.defaults) < 2 and self._maybe():
                inner.append(self._deviate(node, kind, render))
            else:
                inner.append(render(file))
        if node.keyword in ("container", "list", "leaf") and not node.is_key() and self._maybe(0.3):
            inner.append('must "false()";')
            self._deviation(node, 'deviate delete { must "false()"; }')
        if node.keyword in ("list", "leaf-list") and node.most is None and not node.defaults and self._maybe(0.5):
            inner.append("max-elements 1;" if not node.least else f"max-elements {node.least};")
            self._deviation(node, "deviate replace { max-elements unbounded; }")
        return inner

    def _deviate(self, node: Node, kind: str, render: Callable[[str], str]) -> str:
        """Let a deviation say it; what stands in the statement itself is returned."""
        text = render("fd")
        replaced = {
            "type": "type string;",
            "mandatory": "mandatory false;",
            "max-elements": "max-elements 99;",
            "min-elements": "min-elements 0;",
        }
        if kind == "type" or (kind in replaced and self.rng.random() < 0.5):
            self._deviation(node, f"deviate replace {{ {text} }}")
            return replaced[kind]
        self._deviation(node, f"deviate add {{ {text} }}")
        return ""

    def _deviation(self, node: Node, text: str) -> None:
        self.bodies["fd"].append(f'  deviation "{self.schema_path(node)}" {{ {text} }}')

    def _uses(self, node: Node, file: str) -> str:
        where = file
        if file != "fc":
            options = [file, "fc"] if self._portable(node) else [file]
            options += ["fs"] if file == "fa" else []
            where = self.rng.choice(options)
        self.uses_file[node] = file
        name = f"g{node.number}"
        inside = " ".join(self.statement(child, where) for child in node.children)
        self.bodies[where].append(f"  grouping {name} {{ {inside} }}")
        inner = [f"when {self.expression(node.when, node, file)};"] if node.when else []
        inner += self.refinements.get(node, [])
        prefix = f"{where}:" if where == "fc" and file != "fc" else ""
        return f"uses {prefix}{name} {{ {' '.join(inner)} }}\n" if inner else f"uses {prefix}{name};\n"

    def _portable(self, node: Node) -> bool:
        """Whether its text can stand in the module of groupings, which imports nothing of the others."""
        for n in node.walk():
            texts = [n.when, *n.musts, n.type.statement if n.type else "", *map(str, n.defaults)]
            names = [m for text in texts for m in _NAME.findall(text)]
            if any("fa:" in text for text in texts) or any(self.by_name[m].module != n.module for m in names):
                return False
            if n.keyword == "augment":
                return False
        return True

    def _augment(self, node: Node, file: str) -> str:
        where = node.module
        assert node.parent is not None
        inner = [f"when {self.expression(node.when, node, where)};"] if node.when else []
        inner += [self.statement(child, where) for child in node.children]
        self.bodies[where].append(f'  augment "{self.schema_path(node.parent, node.parent)}" {{ {" ".join(inner)} }}')
        return ""

    # features and what they take away

    def _feature(self, wanted: bool) -> str:
        """An if-feature expression that is `wanted`."""
        while True:
            text, value = self._expression(0)
            if value == wanted:
                return text

    def _expression(self, depth: int, *, negated: bool = False) -> tuple[str, bool]:
        """An expression and its value.  libyang 4.5.5 ends with a segmentation fault on `not` within `not (...)`."""
        draw = self.rng.random()
        if depth > 2 or draw < 0.4:
            feature = self.rng.choice(FEATURES)
            return f"ft:{feature}", feature in self.on
        if draw < 0.6 and not negated:
            text, value = self._expression(depth + 1, negated=True)
            return f"not {text}" if text.startswith(("ft:", "(")) and " " not in text else f"not ({text})", not value
        left, one = self._expression(depth + 1, negated=negated)
        right, two = self._expression(depth + 1, negated=negated)
        if draw < 0.8:
            return f"({left}) and ({right})", one and two
        return f"{left} or {right}", one or two

    def _ghost(self, node: Node) -> str:
        """A leaf that the text has and the schema must not have."""
        name = f"x{node.number}"
        self.ghosts[node.name] = [name]
        mandatory = "" if any(n.keyword == "augment" or n.default_case for n in node.up()) else "mandatory true;"
        if self.rng.random() < 0.5:
            return f"leaf {name} {{ if-feature {quoted(self._feature(False))}; type string; {mandatory} }}"
        path = f"{self.schema_path(node)}/{node.module}:{name}"
        self.bodies["fd"].append(f'  deviation "{path}" {{ deviate not-supported; }}')
        return f"leaf {name} {{ type string; {mandatory} }}"


def _routes(routes: list[list[Node]], file: str) -> str:
    """Arguments of a unique; in a deviation a name without a prefix would be the deviating module's."""
    return " ".join("/".join(f"{n.module}:{n.name}" if file == "fd" else n.name for n in route) for route in routes)


_REFINABLE = ("default", "mandatory", "presence", "min-elements", "max-elements", "must")


def _unquote(text: str) -> str:
    return text[1:-1].replace('\\"', '"').replace("\\\\", "\\")


def _identities(names: dict[str, tuple[str, ...]], prefix: str) -> str:
    rows = (f"  identity {n} {{ {' '.join(f'base {prefix}:{b};' for b in bases)} }}" for n, bases in names.items())
    return "\n".join(rows) + "\n"


def write(rng: Random, model: Model, *, plain: bool = False) -> Written:
    """The files of a model."""
    return Printer(rng, model, plain=plain).write()
