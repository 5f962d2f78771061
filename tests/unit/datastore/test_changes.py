"""Changes through JSON lead where they led before, however many stand together."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
from hypothesis import given

from nms.datastore import changes as changeset
from nms.datastore.revision import Revision, Revisions
from nms.model import diff, edit, entries, tree
from nms.model.edit import Edit
from nms.model.path import parse_path
from tests.property.strategies import instance, shapes
from tests.property.test_tree_laws import same

SCHEMA = shapes()
ROOT = SCHEMA.root
ROOTS = instance(ROOT)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def journalled(changes: list[diff.Change]) -> list[diff.Change]:
    return changeset.from_json(ROOT, orjson.loads(orjson.dumps(changeset.to_json(changes))))


@given(ROOTS, ROOTS)
def test_what_a_record_says_leads_from_old_to_new(old: Any, new: Any) -> None:
    changes = diff.diff(ROOT, old, new)
    assert same(changeset.apply(ROOT, old, changes), new)
    assert same(changeset.apply(ROOT, old, journalled(changes)), new)


def items(numbers: range) -> Any:
    """A root that holds the items of these numbers."""
    held = entries.from_values(((f"n{n:05}", (f"n{n:05}", n % 7, None)) for n in numbers), ordered=False)
    return tree.put(ROOT, None, tuple((SCHEMA.find(path), None) for path in ("/shapes:top", "/shapes:top/item")), held)


def test_entries_that_come_and_go_together_are_one_item() -> None:
    old = items(range(500))
    new = items(range(400, 900))
    changes = diff.diff(ROOT, old, new)
    assert len(changes) == 800
    assert len(changeset.to_json(changes)) == 1
    assert same(changeset.apply(ROOT, old, journalled(changes)), new)


def test_long_runs_are_where_they_would_be_found() -> None:
    leaf = tuple((SCHEMA.find(path), None) for path in ("/shapes:top", "/shapes:top/text"))
    step = tuple((SCHEMA.find(path), None) for path in ("/shapes:top", "/shapes:top/step"))
    steps = entries.from_values(((n, (n, None)) for n in range(100)), ordered=True)
    old = tree.put(ROOT, items(range(500)), leaf, "before")
    new = tree.put(ROOT, tree.put(ROOT, items(range(400, 900)), step, steps), leaf, "after")
    changes = diff.diff(ROOT, old, new)
    assert [len(run) for run in diff.runs(changes)] == [1, 800, 100]
    assert list(diff.runs(changes)) == list(diff.runs(list(changes)))


def test_merging_what_is_there_changes_nothing() -> None:
    old = items(range(500))
    again = items(range(100, 300))
    assert edit.apply(ROOT, old, [Edit(ROOT.children[0], "merge", None, again[0])])[0] is old[0]


def test_a_list_of_many_marks_counts_as_written_as_a_whole() -> None:
    old = items(range(9000))
    revisions = Revisions(Revision(1, NOW))
    one, other = (parse_path(SCHEMA, f"/shapes:top/item[name='n{n:05}']") for n in (3, 8000))
    changed = tree.put(ROOT, old, (*one, (SCHEMA.find("/shapes:top/item/size"), None)), 99)
    revisions.touch(diff.diff(ROOT, old, changed), Revision(2, NOW))
    assert [revisions.of(path).txid for path in (one, other)] == [2, 1]
    revisions.touch(diff.diff(ROOT, ROOT.blank, old), Revision(3, NOW))
    assert [revisions.of(path).txid for path in (one, other)] == [3, 3]
    revisions.touch(diff.diff(ROOT, old, changed), Revision(4, NOW))
    assert [revisions.of(path).txid for path in (one, other, one[:1])] == [4, 3, 4]
