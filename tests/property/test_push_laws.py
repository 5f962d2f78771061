"""Laws of YANG-Push: looking at what a change touches is enough, and who applies the patches has what is selected."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from nms.model import entries, tree, xml
from nms.model.diff import diff
from nms.model.path import resource_path
from nms.model.schema import Node
from nms.model.types import text_of
from nms.notify import selection
from nms.notify.selection import Selection, narrowed
from nms.notify.yang_patch import PatchEdit, edits
from tests.property.strategies import instance, shapes
from tests.property.test_tree_laws import same

SCHEMA = shapes()
ROOTS = instance(SCHEMA.root)
COMPARED = ("string", "boolean", "uint8", "uint16", "enumeration")


@st.composite
def changes_of_a_root(draw: st.DrawFn) -> tuple[Any, Any, Selection]:
    """A root, the same root after some changes, and a filter that fits one of them."""
    old, other = draw(ROOTS), draw(ROOTS)
    new = old
    for change in diff(SCHEMA.root, old, other):
        if draw(st.booleans()):
            new = tree.put(SCHEMA.root, new, change.path, change.new)
    new = new if new is not None else SCHEMA.root.blank
    return old, new, draw(selections(draw(st.sampled_from((old, new)))))


@st.composite
def selections(draw: st.DrawFn, value: Any) -> Selection:
    """Filters that lead down into `value`, with and without conditions that it meets, in both languages."""
    node, path = SCHEMA.root, ""
    top = element = etree.Element("filter")
    while node.kind in ("root", "container", "list") and (node is SCHEMA.root or draw(st.integers(0, 3))):
        present = [child for child in node.children if value[child.index] is not None and child not in node.keys]
        if not present:
            break
        node = draw(st.sampled_from(present))
        _, value = draw(st.sampled_from([*tree.members(node, value[node.index])]))
        element = etree.SubElement(element, node.tag)
        path += f"/{node.module}:{node.name}"
        leafs = [leaf for leaf in node.children if leaf.type is not None and leaf.type.base in COMPARED]
        leafs = [leaf for leaf in leafs if leaf.kind == "leaf" and value[leaf.index] is not None]
        if leafs and draw(st.booleans()):
            leaf = draw(st.sampled_from(leafs))
            text = text_of(value[leaf.index])
            if text.strip() == text and text.isalnum():
                etree.SubElement(element, leaf.tag).text = text
                path += f"[{leaf.module}:{leaf.name}='{text}']"
    if draw(st.booleans()) or not path:
        return selection.subtree(SCHEMA, top)
    return selection.by_xpath(SCHEMA, path, {m.name: m.namespace for m in SCHEMA.modules.values()})


def alike(one: list[PatchEdit], other: list[PatchEdit]) -> bool:
    def key(edit: PatchEdit) -> tuple[Any, ...]:
        return edit.operation, resource_path(edit.path), edit.where, edit.after

    return [key(e) for e in one] == [key(e) for e in other] and all(
        same(a.value, b.value) for a, b in zip(one, other, strict=True)
    )


def by_xpath(path: str) -> Selection:
    return selection.by_xpath(SCHEMA, path, {"s": "urn:shapes"})


def by_subtree(content: str) -> Selection:
    return selection.subtree(SCHEMA, etree.fromstring(f'<filter><top xmlns="urn:shapes">{content}</top></filter>'))


STEPS = "<step><id>1</id>{}</step><step><id>2</id>{}</step><step><id>3</id>{}</step>"
NOTE = "<note>{}</note>"


@pytest.mark.parametrize(
    ("old", "new", "chosen"),
    [
        ("<flag>true</flag><number>1</number>", "<flag>true</flag><step><id>1</id></step>", "<flag>true</flag><step/>"),
        (STEPS.format("", "", NOTE), STEPS.format(NOTE, "", NOTE), "/s:top/s:step/s:note"),
        (STEPS.format("", "", NOTE), STEPS.format("", NOTE, NOTE), "<step><note/></step>"),
        (
            STEPS.format(*[NOTE] * 3).format(*"xaa"),
            STEPS.format(*[NOTE] * 3).format(*"aaa"),
            "/s:top/s:step[s:note='a']",
        ),
        (
            STEPS.format(*[NOTE] * 3).format(*"axa"),
            STEPS.format(*[NOTE] * 3).format(*"aaa"),
            "<step><note>a</note></step>",
        ),
    ],
)
def test_what_comes_to_a_selection_is_where_it_is_in_the_whole(old: str, new: str, chosen: str) -> None:
    roots = [xml.decode(SCHEMA.root, etree.fromstring(f'<d><top xmlns="urn:shapes">{t}</top></d>')) for t in (old, new)]
    wanted = by_xpath(chosen) if chosen[0] == "/" else by_subtree(chosen)
    assert wanted.local
    check(roots[0], roots[1], wanted)
    check(roots[1], roots[0], wanted)


@given(changes_of_a_root())
def test_what_a_change_touches_is_enough(case: tuple[Any, Any, Selection]) -> None:
    check(*case)


def check(old: Any, new: Any, chosen: Selection) -> None:
    whole = edits(diff(SCHEMA.root, chosen.of(old), chosen.of(new)))
    changes = [c for c in diff(SCHEMA.root, old, new) if chosen.concerns(c.node) and not chosen.passes_by(c)]
    part_old, part_new = old, new
    if chosen.local:
        part_old = narrowed(SCHEMA, old, chosen, changes) if changes else SCHEMA.root.blank
        part_new = narrowed(SCHEMA, new, chosen, changes) if changes else SCHEMA.root.blank
    elif not changes:
        part_old = part_new
    assert alike(edits(diff(SCHEMA.root, chosen.of(part_old), chosen.of(part_new))), whole)


@given(ROOTS, ROOTS)
def test_who_applies_the_patch_has_what_the_publisher_has(old: Any, new: Any) -> None:
    value = old
    for edit in edits(diff(SCHEMA.root, old, new)):
        value = applied(value, edit)
    assert same(value if value is not None else SCHEMA.root.blank, new)


def applied(root: Any, edit: PatchEdit) -> Any:
    """`root` after one edit (RFC 8072 section 2.5)."""
    node, key = edit.path[-1]
    if edit.operation == "delete":
        return tree.put(SCHEMA.root, root, edit.path, None)
    if edit.operation != "move":
        root = tree.put(SCHEMA.root, root, edit.path, edit.value)
    if not edit.where:
        return root
    whole = (*edit.path[:-1], (node, None))
    return tree.put(SCHEMA.root, root, whole, moved(node, tree.get(root, whole), key, edit))


def moved(node: Node, held: Any, key: Any, edit: PatchEdit) -> Any:
    if node.kind == "list":
        return entries.move(held, key, edit.where, edit.after)
    rest = [value for value in held if value != key]
    rest.insert(0 if edit.where == "first" else rest.index(edit.after) + 1, key)
    return tuple(rest)
