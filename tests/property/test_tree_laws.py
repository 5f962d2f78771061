"""Laws of trees, edits, differences and codecs."""

from __future__ import annotations

import itertools
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from nms.model import diff, edit, entries, json, select, tree, xml, xml_edit
from nms.model.edit import Edit
from nms.model.path import format_path, parse_path
from tests.property.strategies import instance, shapes

SCHEMA = shapes()
ROOTS = instance(SCHEMA.root)


def same(one: Any, other: Any) -> bool:
    """Equality of values: entries compare by what they hold and its order."""
    if isinstance(one, entries.Leaf | entries.Inner | entries.Ordered):
        if one.__class__ is entries.Ordered and not isinstance(other, entries.Ordered):
            return False
        pairs = itertools.zip_longest(entries.items(one), entries.items(other))
        return all(p and q and p[0] == q[0] and same(p[1], q[1]) for p, q in pairs)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(type(one) is type(other) and one == other)


@given(ROOTS)
def test_xml_round_trip(root: Any) -> None:
    text = xml.fragment(xml.encode(SCHEMA.root, root))
    assert same(xml.decode(SCHEMA.root, etree.fromstring(text)), root)


@given(ROOTS)
def test_json_round_trip(root: Any) -> None:
    assert same(json.decode(SCHEMA.root, orjson.loads(json.dumps(SCHEMA.root, root))), root)


@given(ROOTS, ROOTS)
def test_changes_lead_from_old_to_new(old: Any, new: Any) -> None:
    value = old
    for change in diff.diff(SCHEMA.root, old, new):
        assert format_path(change.path)
        value = tree.put(SCHEMA.root, value, change.path, change.new)
    assert same(value if value is not None else SCHEMA.root.blank, new)


@given(ROOTS)
def test_no_difference_from_itself(root: Any) -> None:
    text = xml.fragment(xml.encode(SCHEMA.root, root))
    again = xml.decode(SCHEMA.root, etree.fromstring(text))
    assert diff.diff(SCHEMA.root, root, again) == []


@given(ROOTS, ROOTS)
def test_replace_forgets_and_merge_is_idempotent(old: Any, new: Any) -> None:
    def edits(op: Any) -> list[Edit]:
        return [
            Edit(child, op, None, value)
            for child, value in zip(SCHEMA.root.children, new, strict=True)
            if value is not None
        ]

    if edits("replace"):
        assert same(edit.apply(SCHEMA.root, old, edits("replace")), new)
    once = edit.apply(SCHEMA.root, old, edits("merge"))
    assert same(edit.apply(SCHEMA.root, once, edits("merge")), once)


@given(ROOTS, ROOTS)
def test_an_edit_decoded_from_xml_does_what_its_value_does(old: Any, new: Any) -> None:
    config = etree.fromstring(xml.fragment(xml.encode(SCHEMA.root, new)))
    edits = xml_edit.decode_edit(SCHEMA, config)
    top = SCHEMA.root.children[0]
    direct = [Edit(top, "merge", None, new[0])] if new[0] is not None else []
    assert same(edit.apply(SCHEMA.root, old, edits), edit.apply(SCHEMA.root, old, direct))


@given(ROOTS)
def test_paths_are_read_back(root: Any) -> None:
    for change in diff.diff(SCHEMA.root, SCHEMA.root.blank, root):
        assert parse_path(SCHEMA, format_path(change.path)) == change.path


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"])) | st.text(alphabet="'\"[]=,/:() a"))
def test_any_text_can_be_a_key(text: str) -> None:
    top = SCHEMA.find("/shapes:top")
    for name in ("item", "tag"):
        path = ((top, None), (SCHEMA.find(f"/shapes:top/{name}"), text))
        assert parse_path(SCHEMA, format_path(path)) == path


OPERATIONS = st.lists(st.tuples(st.integers(0, 300), st.booleans()), max_size=400)


@given(OPERATIONS, OPERATIONS)
def test_entries_are_a_sorted_map_and_differences_are_exact(first: Any, second: Any) -> None:
    def run(held: entries.Entries, model: dict[int, Any], operations: Any) -> entries.Entries:
        for number, (key, put) in enumerate(operations):
            if put:
                held = entries.put(held, key, (key, number))
                model[key] = (key, number)
            elif key in model:
                held = entries.remove(held, key)
                del model[key]
        return held

    model: dict[int, Any] = {}
    one = run(entries.NONE, model, first)
    before = dict(model)
    two = run(one, model, second)
    assert list(entries.items(one)) == sorted(before.items())
    assert list(entries.items(two)) == sorted(model.items())
    assert entries.size(two) == len(model)
    gone, come = entries.differences(one, two)
    assert gone == {k: v for k, v in before.items() if model.get(k) != v}
    assert come == {k: v for k, v in model.items() if before.get(k) != v}
    bulk = entries.update(one, {**dict.fromkeys(before), **model})
    assert list(entries.items(bulk)) == sorted(model.items())


@given(ROOTS)
def test_configuration_and_state_make_the_whole(root: Any) -> None:
    config = select.content(SCHEMA.root, root, "config")
    state = select.content(SCHEMA.root, root, "nonconfig")
    edits = [Edit(c, "merge", None, v) for c, v in zip(SCHEMA.root.children, state, strict=True) if v is not None]
    assert same(edit.apply(SCHEMA.root, config, edits), root)
    assert select.content(SCHEMA.root, config, "config") == config
