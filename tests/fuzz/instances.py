"""Random instance data of a model as RFC 7951 objects: drawn, mended after a verdict, damaged, and written as XML."""

from __future__ import annotations

import re
from random import Random
from typing import Any
from xml.sax.saxutils import escape

from tests.fuzz.leaf_types import LeafType, text_of
from tests.fuzz.model import Model, Node
from tests.fuzz.printing import Written

Data = dict[str, Any]
_STEP = re.compile(r"/(?:[\w-]+:)?([\w-]+)((?:\[[^\]]*\])*)")
_KEY = re.compile(r"\[(?:[\w-]+:)?([\w.-]+)=(?:'([^']*)'|\"([^\"]*)\")\]")


def member(node: Node) -> str:
    """Name of a member (RFC 7951 section 4)."""
    parent = node.data_parent
    return node.name if parent.keyword != "root" and parent.module == node.module else f"{node.module}:{node.name}"


def cases(choice: Node) -> list[Node]:
    """The cases of a choice, short ones and those that an augment adds included."""
    return [c for child in choice.children for c in (child.children if child.keyword == "augment" else [child])]


class Drawer:
    """Draws data of one model."""

    def __init__(self, rng: Random, model: Model, written: Written) -> None:
        self.rng = rng
        self.model = model
        self.ghosts = written.ghosts
        self.density = rng.choice([0.4, 0.6, 0.8])
        self.nodes = [n for n in model.nodes() if n.is_data]
        self.by_name = {n.name: n for n in self.nodes}

    def data(self) -> Data:
        return self._members(self.model.root)

    def _members(self, node: Node) -> Data:
        found: Data = {}
        for key in node.keys:  # first and in their order, as XML wants them (section 7.8.5)
            self._put(key, found, 1.0)
        self._into(node, found)
        return found

    def _into(self, node: Node, found: Data) -> None:
        for child in node.children:
            if child.keyword == "choice":
                if child.mandatory or self.rng.random() < self.density:
                    case = self.rng.choice(cases(child))
                    self._into(case, found) if case.keyword == "case" else self._put(case, found, 1.0)
            elif child.is_key():
                continue
            elif child.is_data:
                # What has conditions is rather left out, or hardly any data would be valid.
                self._put(child, found, self.density * (0.5 if child.conditional else 1.0))
            else:
                self._into(child, found)

    def _put(self, node: Node, found: Data, chance: float) -> None:
        if node.keyword == "choice":
            case = self.rng.choice(cases(node))
            self._into(case, found) if case.keyword == "case" else self._put(case, found, chance)
            return
        if node.is_key() or node.mandatory or node.least or self.rng.random() < chance:
            value = self.value(node)
            if value is not None:
                found[member(node)] = value

    def value(self, node: Node) -> Any:
        """An instance of a node; of a list its entries; None where there is nothing to say."""
        rng = self.rng
        if node.keyword == "leaf":
            return self.scalar(node.type)
        if node.keyword == "anydata":
            return {}
        if node.keyword == "container":
            inner = self._members(node)
            return inner if inner or node.presence else None
        most = node.most if node.most is not None else 3
        count = rng.randint(max(1, node.least), max(1, node.least, most))
        if node.keyword == "leaf-list":
            values = [self.scalar(node.type) for _ in range(count)]
            return list({text_of(v): v for v in values}.values()) if node.config else values
        rows = [self._members(node) for _ in range(count)]
        names = [member(k) for k in node.keys]
        return list({str([row[n] for n in names]): row for row in rows}.values()) if names else rows

    def scalar(self, kind: LeafType | None) -> Any:
        assert kind is not None
        return self.rng.choice(list(kind.good)) if kind.good else "a"

    # mending

    def mend(self, data: Data, path: str, app_tag: str) -> bool:
        """Change what an error complains about; False where nothing was found to change."""
        steps = _STEP.findall(path)
        holder: Any = data
        for index, (name, keys) in enumerate(steps):
            node = self.by_name.get(name)
            if node is None or not isinstance(holder, dict):
                return False
            label = member(node)
            if index == len(steps) - 1:
                return self._replace(holder, label, node, keys, app_tag)
            if label not in holder:
                if node.keyword != "container":
                    return False
                holder[label] = {}
            holder = holder[label]
            if node.keyword == "list":
                holder = next((row for row in holder if self._is(node, row, keys)), None)
        return False

    def _is(self, node: Node, row: Data, keys: str) -> bool:
        wanted = {name: a or b for name, a, b in _KEY.findall(keys)}
        return all(text_of(row.get(member(k))) == wanted.get(k.name) for k in node.keys)

    def _replace(self, holder: Data, label: str, node: Node, keys: str, app_tag: str) -> bool:
        rng = self.rng
        if app_tag == "missing-choice":
            for choice in [c for c in node.walk() if c.keyword == "choice" and c.mandatory and c.data_parent is node]:
                target = holder[label] if isinstance(holder.get(label), dict) else holder
                if isinstance(target, dict):
                    case = rng.choice(cases(choice))
                    self._into(case, target) if case.keyword == "case" else self._put(case, target, 1.0)
            return True
        if label not in holder:
            value = self.value(node)
            if value is not None:
                holder[label] = value
            return value is not None
        if app_tag == "instance-required" and node.keyword == "leaf" and not node.is_key():
            existing = self._existing(node)
            if existing and rng.random() < 0.7:
                holder[label] = rng.choice(existing)
                return True
        if node.keyword == "list" and keys and node.keys:
            holder[label] = [row for row in holder[label] if not self._is(node, row, keys)]
            if not holder[label]:
                del holder[label]
            return True
        if node.is_key():
            holder[label] = self.scalar(node.type)
            return True
        if rng.random() < 0.4 and app_tag:
            value = self.value(node)
            if value is not None:
                holder[label] = value
                return True
        del holder[label]
        return True

    def _existing(self, node: Node) -> list[Any]:
        target = node.type.target if node.type is not None else None
        return self.values_of(target) if target is not None else []

    def values_of(self, target: Node) -> list[Any]:
        """The values in the data that was last damaged or mended."""
        return [v for name, v in _scalars(self.current) if name == target.name]

    current: Data

    # damage

    def damage(self, data: Data) -> None:
        """One small change somewhere: a member removed, added, given another or a wrong value, an entry doubled."""
        rng = self.rng
        places = list(self._places(self.model.root, data))
        node, holder = rng.choice(places)
        members = [m for m in node.members if not m.is_key() or rng.random() < 0.15]
        if not members:
            return
        child = rng.choice(members)
        label = member(child)
        draw = rng.random()
        if node.name in self.ghosts and self.ghosts[node.name] and draw < 0.15:
            holder[rng.choice(self.ghosts[node.name])] = "a"
        elif label in holder and draw < 0.4:
            del holder[label]
        elif child.type is not None and draw < 0.5 and child.type.bad:
            bad = rng.choice(list(child.type.bad))
            holder[label] = bad if child.keyword == "leaf" else [*holder.get(label, []), bad]
        elif child.keyword in ("list", "leaf-list") and label in holder and draw < 0.8:
            more = self.value(child) or []
            held = holder[label]
            if child.keyword == "leaf-list" or rng.random() < 0.15:
                texts = {text_of(v) for v in held} if rng.random() < 0.9 else set()
                holder[label] = [*held, *(v for v in more if text_of(v) not in texts)]
            else:
                names = [member(k) for k in child.keys]
                taken = [[row.get(n) for n in names] for row in held] if names else []
                holder[label] = [*held, *(row for row in more if [row.get(n) for n in names] not in taken)]
        else:
            value = self.value(child)
            if value is not None:
                holder[label] = value

    def tidy(self, data: Data) -> Data:
        """The data without empty non-presence containers; they say nothing (section 7.5.1), but to libyang they do."""
        found: Data = {}
        for label, held in data.items():
            node = self.by_name.get(label.rpartition(":")[2])
            if isinstance(held, dict):
                held = self.tidy(held)
                if not held and node is not None and node.keyword == "container" and not node.presence:
                    continue
            elif isinstance(held, list):
                held = [self.tidy(item) if isinstance(item, dict) else item for item in held]
            found[label] = held
        return found

    def for_libyang(self, data: Data) -> Data:
        """The same data with what exists by default at the top written out (RFC 7950 sections 7.5.1, 7.6.1, 7.7.2).

        Whens and leafrefs of libyang 4.5.5 do not see a default of or below a node at the top that is not set.
        """
        found: Data = {}
        for node in self.model.root.members:
            if node.conditional or not (node.config or self.model.state):
                continue
            if node.keyword == "container" and not node.presence:
                found[member(node)] = {}
            elif node.defaults:
                found[member(node)] = node.defaults[0] if node.keyword == "leaf" else node.defaults
        return {**found, **data}

    def inner_choice(self, data: Data) -> bool:
        """Whether somewhere a case is chosen by a node of a choice within it alone, and has more to say by default."""
        for _, holder in self._places(self.model.root, data):
            held = {label.rpartition(":")[2] for label in holder}
            for name in held & self.by_name.keys():
                above = list(self.by_name[name].up())
                inner = above[: next(i for i, n in enumerate(above) if n.is_data or n.keyword == "root")]
                if sum(n.keyword == "choice" for n in inner) > 1:
                    return True
        return False

    def _places(self, node: Node, holder: Data) -> Any:
        yield node, holder
        for child in node.members:
            held = holder.get(member(child))
            if child.keyword == "container" and isinstance(held, dict):
                yield from self._places(child, held)
            elif child.keyword == "list" and isinstance(held, list):
                for row in held:
                    if isinstance(row, dict):
                        yield from self._places(child, row)


def _scalars(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        for label, held in value.items():
            yield from _scalars(held, label.rpartition(":")[2])
    elif isinstance(value, list) and value != [None]:
        for item in value:
            yield from _scalars(item, name)
    else:
        yield name, value


def to_xml(data: Data) -> str:
    """The same as XML elements, with every module's name as its prefix."""
    return _elements(data, "", "".join(f' xmlns:{m}="urn:{m}"' for m in ("fa", "fb", "ft")))


def _elements(members: Data, module: str, spaces: str = "") -> str:
    text = ""
    for label, held in members.items():
        prefix, _, name = label.rpartition(":")
        own = prefix or module
        for item in held if isinstance(held, list) and held != [None] else [held]:
            inside = _elements(item, own) if isinstance(item, dict) else escape(_lexical(text_of(item)))
            text += f'<{name} xmlns="urn:{own}"{spaces}>{inside}</{name}>'
    return text


def _lexical(text: str) -> str:
    """An instance-identifier in XML has every name qualified (RFC 7950 section 9.13.2); other values are as in JSON."""
    module = ""

    def qualify(match: re.Match[str]) -> str:
        nonlocal module
        if match[1] == "/":
            module = match[2] or module
        return f"{match[1]}{module}:{match[3]}"

    return re.sub(r"([/\[])(?:(\w+):)?([a-z]\w*)(?=[/=\[]|$)", qualify, text) if text.startswith("/f") else text


def removals(data: Data) -> Any:
    """Copies of `data` with one member or entry less, for reducing."""
    for label in list(data):
        held = data[label]
        yield {k: v for k, v in data.items() if k != label}
        if isinstance(held, dict):
            for less in removals(held):
                yield {**data, label: less}
        elif isinstance(held, list) and held != [None]:
            for index, item in enumerate(held):
                if len(held) > 1:
                    yield {**data, label: held[:index] + held[index + 1 :]}
                if isinstance(item, dict):
                    for less in removals(item):
                        yield {**data, label: [*held[:index], less, *held[index + 1 :]]}
