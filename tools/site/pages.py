"""A set of modules as pages: what each holds, with every link resolved (the templates only lay it out).

Every module that the set imports has a page too, so that no type, identity or grouping leads nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.model.parsed import Statement, refuse_invalid
from tools.site import diagram
from tools.site.facts import facts
from tools.site.parts import (  # fmt: skip
    Branch,
    Definition,
    Fact,
    Line,
    Part,
    Places,
    children,
    definitions,
    joined,
    page_of,
    text_of,
    with_anchors,
)

#: Definitions that pages list, by the keyword that is their anchor's first word.
LISTED = ("typedef", "identity", "feature", "extension")


@dataclass(slots=True)
class Page:
    """One module.

    Attributes:
        diagrams: title -> lines: data, rpcs, notifications, and a title for each grouping.
        definitions: the nodes, by anchor, in the order of the diagrams.
        listed: keyword -> definitions of that kind.
        identities: the roots here and the identities of others that are extended here, with all that is derived.
    """

    name: str
    file: str
    ours: bool
    facts: tuple[Fact, ...]
    description: str
    diagrams: list[tuple[str, str, list[Line]]]
    definitions: list[Definition]
    listed: dict[str, list[Definition]]
    identities: list[Branch]


def pages_of(files: Sequence[Path], path: Sequence[Path] = ()) -> list[Page]:
    """The pages of the modules in `files` and of all that they import, by name.

    Raises:
        ConfigError: a file cannot be read or is not valid YANG.
    """
    parsed = refuse_invalid(files, path)
    context = parsed.context
    known = {text.arg: text for text in context.modules.values() if text is not None}
    modules = {name: known[name] for name in sorted(known) if known[name].keyword == "module"}
    submodules = {name: text for name, text in known.items() if text.keyword == "submodule"}
    return _Pages(modules, submodules, set(parsed.modules)).all()


class _Pages:
    def __init__(self, modules: dict[str, Statement], submodules: dict[str, Statement], asked: set[str]) -> None:
        self.modules = modules
        self.submodules = submodules
        self.asked = asked
        self.places = Places()
        self.anchors: dict[str, list[tuple[Statement, str]]] = {}
        self.derived: dict[int, list[Statement]] = {}
        for name, module in modules.items():
            self.places.of[id(module)] = page_of(name)
            self.anchors[name] = list(self._nodes(module))
            listed = [(each, f"{k}:{each.arg}") for k in LISTED for each in definitions(module, submodules, k)]
            for statement, anchor in [*self.anchors[name], *listed]:
                self.places.of[id(statement)] = f"{page_of(name)}#{anchor}"
            for identity in definitions(module, submodules, "identity"):
                for base in identity.search("base"):
                    self.derived.setdefault(id(base.i_identity), []).append(identity)

    def _nodes(self, module: Statement) -> Iterator[tuple[Statement, str]]:
        for node in children(module):
            yield from with_anchors(node, "")
        for grouping in definitions(module, self.submodules, "grouping"):
            anchor = f"grouping:{grouping.arg}"
            yield grouping, anchor
            for node in children(grouping):
                yield from with_anchors(node, module.arg, anchor)

    def all(self) -> list[Page]:
        return [self._page(name, module) for name, module in self.modules.items()]

    def _page(self, name: str, module: Statement) -> Page:
        nodes = [self._defined(anchor, node) for node, anchor in self.anchors[name] if node.keyword != "grouping"]
        listed = {
            keyword: [self._defined(f"{keyword}:{each.arg}", each) for each in found]
            for keyword in LISTED
            if (found := definitions(module, self.submodules, keyword))
        }
        return Page(
            name=name,
            file=page_of(name),
            ours=name in self.asked,
            facts=tuple(self._about(module)),
            description=text_of(module, "description"),
            diagrams=list(self._diagrams(module)),
            definitions=nodes,
            listed=listed,
            identities=list(self._trees(module)),
        )

    def _about(self, module: Statement) -> Iterator[Fact]:
        yield Fact("namespace", (Part(text_of(module, "namespace"), code=True),))
        yield Fact("prefix", (Part(text_of(module, "prefix"), code=True),))
        if revision := text_of(module, "revision"):
            yield Fact("revision", (Part(revision),))
        if organization := text_of(module, "organization"):
            yield Fact("organization", (Part(" ".join(organization.split())),))
        imports = sorted({each.arg for each in module.search("import")})
        users = sorted(n for n, m in self.modules.items() if module.arg in {each.arg for each in m.search("import")})
        for label, names in (("imports", imports), ("imported by", users)):
            if names:
                yield Fact(label, tuple(joined(self.places.part(self.modules.get(name), name) for name in names)))
        extended = [
            self.places.part(augment.i_target_node, augment.arg)
            for augment in definitions(module, self.submodules, "augment")
            if getattr(augment, "i_target_node", None) is not None
        ]
        if extended:
            yield Fact("adds to", tuple(joined(dict.fromkeys(extended))))

    def _diagrams(self, module: Statement) -> Iterator[tuple[str, str, list[Line]]]:
        kinds = {"rpc": "rpcs", "notification": "notifications"}
        groups: dict[str, list[Statement]] = {}
        for node in children(module):
            groups.setdefault(node.keyword if node.keyword in kinds else "data", []).append(node)
        for kind in ("data", "rpc", "notification"):
            if kind in groups:
                yield kinds.get(kind, kind), "", diagram.lines(groups[kind], module, kind, self.places)
        for grouping in definitions(module, self.submodules, "grouping"):
            drawn = diagram.lines(children(grouping), module, "grouping", self.places)
            yield f"grouping {grouping.arg}", f"grouping:{grouping.arg}", drawn

    def _defined(self, anchor: str, statement: Statement) -> Definition:
        said = list(facts(statement, self.places))
        if statement.keyword == "identity":
            bases = [self.places.part(base.i_identity, base.arg) for base in statement.search("base")]
            if bases:
                said.insert(0, Fact("derived from", tuple(joined(bases))))
        return Definition(anchor, statement.arg, statement.keyword, tuple(said), text_of(statement, "description"))

    def _trees(self, module: Statement) -> Iterator[Branch]:
        own = definitions(module, self.submodules, "identity")
        for identity in own:
            if not any(base.i_identity in own for base in identity.search("base")):
                yield self._branch(identity, module)

    def _branch(self, identity: Statement, module: Statement) -> Branch:
        below = tuple(self._branch(each, module) for each in self.derived.get(id(identity), ()))
        return Branch(self.places.part(identity, self._name(identity, module.arg)), below)

    @staticmethod
    def _name(statement: Statement, seen_from: str) -> str:
        """A name as it is written where it is seen: with its module, where that is another one."""
        module = statement.i_module.i_modulename
        return str(statement.arg) if module == seen_from else f"{module}:{statement.arg}"
