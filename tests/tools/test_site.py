"""`nms model doc`: well-formed pages in which every schema node has its place and every link leads somewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import orjson
import pytest

from nms import cli
from nms.federation.options import OPTIONS
from nms.model.library import standard_path
from nms.model.load import load
from nms.model.schema import Node, Schema
from tools.model.parsed import files_of, tree
from tools.models import YANG, sources
from tools.site.words import words

VOID = {"meta", "link", "input", "br"}


class Page(HTMLParser):
    """A page as a browser sees it; stumbles over tags that do not match and anchors that stand twice."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.trees: list[str] = []
        self.title = ""
        self._open: list[str] = []
        self.feed(file.read_text("utf-8"))
        self.close()
        assert self._open == [], file

    def handle_starttag(self, tag: str, attributes: Sequence[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag not in VOID:
            self._open.append(tag)
        if (anchor := given.get("id")) is not None:
            assert anchor not in self.anchors, anchor
            self.anchors.add(anchor)
        if tag == "a":
            self.links.add(given["href"] or "")
        for name in ("src", "href") if tag in ("script", "link", "img") else ():
            self.loaded |= {given[name] or ""} if name in given else set()
        if tag == "pre":
            self.trees.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data: str) -> None:
        if "pre" in self._open:
            self.trees[-1] += data
        if self._open[-1:] == ["title"]:
            self.title = data


def written(out: Path, *arguments: str) -> dict[str, Page]:
    assert cli.main(["model", "doc", *arguments, "--out", str(out)]) == 0
    pages = {file.name: Page(file) for file in out.glob("*.html")}
    for name, page in pages.items():
        for link in page.links:
            file, _, anchor = link.partition("#")
            assert (file or name) in pages, (name, link)
            assert not anchor or anchor in pages[file or name].anchors, (name, link)
        assert page.loaded <= {each.name for each in out.iterdir()}, "something from outside"
    script = (out / "index.js").read_bytes().split(b";\n")
    files, entries = (orjson.loads(line.partition(b" = ")[2]) for line in script[:2])
    assert all(anchor in pages[files[number]].anchors for _, _, number, anchor in entries)
    return pages


def below(node: Node) -> list[Node]:
    found = [*node.children, *node.actions, *node.notifications]
    return [*found, *(inner for child in found for inner in below(child))]


def unplaced(schema: Schema, pages: dict[str, Page]) -> list[str]:
    """Schema nodes without an anchor; anchors name choices and cases too."""
    tops = [*schema.root.children, *schema.rpcs.values(), *schema.notifications.values()]
    nodes = [
        node for top in tops for node in (top, *below(top)) if node.children or node.kind not in ("input", "output")
    ]
    places: dict[str, set[str]] = {}
    for page in pages.values():
        for anchor in page.anchors:
            if anchor.startswith("/"):
                places.setdefault(anchor.rpartition("/")[2].rpartition(":")[2], set()).add(anchor)

    def within(node: Node, anchor: str) -> bool:
        steps = iter(step.rpartition(":")[2] for step in anchor.strip("/").split("/"))
        return all(step.rpartition(":")[2] in steps for step in node.path.strip("/").split("/"))

    return [n.path for n in nodes if not any(within(n, anchor) for anchor in places.get(n.name, ()))]


def test_our_modules(tmp_path: Path) -> None:
    pages = written(tmp_path)
    names = list(sources())
    assert {f"{name}.html" for name in names} < set(pages)
    assert unplaced(load([YANG], [f"{name}:*" for name in names]), pages) == []
    crossing = pages["reference-points.html"]
    assert {f"option-{option.number}" for option in OPTIONS} <= crossing.anchors
    assert {f"{model}.html" for option in OPTIONS for model in option.exposed} <= crossing.links


def test_modules_of_the_ietf(tmp_path: Path) -> None:
    folders = standard_path()
    pages = written(tmp_path, *map(str, folders))
    files = files_of(folders)
    assert "reference-points.html" not in pages
    names = [file.stem for file in files if f"{file.stem}.html" in pages]
    assert len(names) > 50
    some = ["ietf-interfaces:*", "ietf-ip:*", "ietf-alarms:*", "ietf-netconf", "ietf-system:*", "ietf-yang-library"]
    assert unplaced(load((), some), pages) == []


def test_trees_are_drawn_as_by_rfc_8340(tmp_path: Path) -> None:
    files = sorted(sources().values())
    pages = written(tmp_path, *map(str, files))
    expected = {line.strip() for line in tree(files).splitlines()}
    names = [f"{file.name.partition('@')[0]}.html" for file in files]
    data = [page for page in (pages[name] for name in names) if {"tree:data"} <= page.anchors]
    assert len(data) >= 8
    for page in data:
        assert {line.strip() for line in page.trees[0].strip("\n").splitlines()} <= expected


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("../role = 'hub' and (a or not(b))", "role is hub and (a is present or b is absent)"),
        ("not(. = 'true' and ../x >= 3)", "the value is not true or x is less than 3"),
        ("not(derived-from-or-self(../t, 'm:push'))", "t is not a kind of m:push"),
        ("count(../zone) <= 4", "the number of zone is at most 4"),
        ("/if:interfaces/if:interface[if:name=current()]/ip:ipv4", ""),
        ("this is no XPath", ""),
    ],
)
def test_conditions_in_words(expression: str, said: str) -> None:
    assert words(expression) == said


def test_a_module_that_is_not_valid_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "ex-broken.yang"
    file.write_text("module ex-broken { prefix b; }")
    assert cli.main(["model", "doc", str(file), "--out", str(tmp_path / "out")]) == 2
    assert "ex-broken.yang:1" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
