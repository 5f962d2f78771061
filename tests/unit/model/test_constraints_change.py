"""What a change costs: the number of constraints evaluated follows the change and never the size of the datastore."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from nms.errors import RpcError
from nms.model import constraints, json, tree
from nms.model.constraint_change import check_change
from nms.model.constraint_check import Check
from nms.model.constraint_dependents import dependents
from nms.model.constraint_plan import plans
from nms.model.cursor import Cursor
from nms.model.diff import diff
from nms.model.edit import Edit, apply
from nms.model.load import load
from nms.model.path import parse_path
from nms.model.schema import Schema

MODELS = Path(__file__).parents[2] / "bench" / "models"
MODULES = Path(__file__).parent / "modules"
SIZES = (100, 10_000)


@cache
def schema_of(name: str) -> Schema:
    return load([MODELS, MODULES], [name])


@cache
def inventory(size: int) -> Any:
    """`size` applications in ten zones, and a zone of one application, and one of none."""
    zones = [f"zone-{n}" for n in range(10)] + ["lonely", "empty"]
    apps = [app(f"app-{n:05}", f"zone-{n % 10}") for n in range(1, size)] + [app("app-00000", "lonely")]
    members = {"zone": [{"name": name} for name in zones], "app": apps}
    return json.decode(schema_of("inventory").root, {"inventory:apps": members})


def app(name: str, zone: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "x", "cpu": 2, "memory": 256, "zone": zone} | more


def put(schema: Schema, root: Any, path: str, raw: Any = None) -> Any:
    """`root` with the RFC 7951 value `raw` at `path`, or without what is there."""
    steps = parse_path(schema, path)
    node = steps[-1][0]
    value = raw if raw is None or node.kind != "list" else json.decode(node, raw)
    return tree.put(schema.root, root, steps, value)


def judge(schema: Schema, old: Any, new: Any) -> tuple[list[RpcError], int, Counter[str]]:
    """Errors of a change, the number of constraints evaluated for them, and the fallbacks."""
    fallbacks: Counter[str] = Counter()
    changes = diff(schema.root, old, new)
    check = check_change(dependents(schema), constraints.index(schema, old), new, changes, fallbacks)
    assert [e.path for e in check.errors] == [e.path for e in constraints.validate(schema, new)]
    return check.errors, check.evaluated, fallbacks


ONE = "/inventory:apps/inventory:app[inventory:name='app-00050']"
EDITS: list[tuple[str, str, Any, str]] = [
    ("a leaf of an entry", f"{ONE}/inventory:image", "y", ""),
    ("a leaf of a must that holds", f"{ONE}/inventory:memory", 512, ""),
    ("a leaf of a must that does not", f"{ONE}/inventory:memory", 1, "operation-failed"),
    ("a reference to another zone", f"{ONE}/inventory:zone", "empty", ""),
    ("a reference to none", f"{ONE}/inventory:zone", "nowhere", "data-missing"),
    ("a mandatory leaf taken out", f"{ONE}/inventory:image", None, "data-missing"),
    ("a new entry", "/inventory:apps/inventory:app[inventory:name='new']", app("new", "zone-1"), ""),
    ("a new entry that is wrong", "/inventory:apps/inventory:app[inventory:name='new']",
     app("new", "zone-1", memory=1), "operation-failed"),
    ("an entry taken out", ONE, None, ""),
    ("a new zone", "/inventory:apps/inventory:zone[inventory:name='more']", {"name": "more"}, ""),
    ("a zone taken out", "/inventory:apps/inventory:zone[inventory:name='empty']", None, ""),
    ("a zone taken out that is referred to", "/inventory:apps/inventory:zone[inventory:name='lonely']", None,
     "data-missing"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "raw", "tag"), [row[1:] for row in EDITS], ids=[row[0] for row in EDITS])
def test_an_edit_costs_the_same_at_any_size(path: str, raw: Any, tag: str) -> None:
    schema = schema_of("inventory")
    seen = []
    for size in SIZES:
        errors, evaluated, fallbacks = judge(schema, inventory(size), put(schema, inventory(size), path, raw))
        assert [error.tag for error in errors] == ([tag] if tag else [])
        assert not fallbacks
        seen.append(evaluated)
    assert seen[0] == seen[1] < 12


def servers(size: int) -> Any:
    entries = [{"name": f"s{n:05}", "ip": f"ip-{n}", "alias": f"alias-{n}"} for n in range(size)]
    return json.decode(schema_of("rules").root, {"rules:uniques": {"server": entries}})


@pytest.mark.parametrize(("value", "tag"), [("other", ""), ("alias-7", "operation-failed")])
def test_a_unique_costs_the_same_at_any_size(value: str, tag: str) -> None:
    schema = schema_of("rules")
    path = "/rules:uniques/rules:server[rules:name='s00050']/rules:alias"
    seen = []
    for size in (100, 2000):
        root = servers(size)
        errors, evaluated, fallbacks = judge(schema, root, put(schema, root, path, value))
        assert [error.tag for error in errors] == ([tag] if tag else [])
        assert not fallbacks
        seen.append(evaluated)
    assert seen[0] == seen[1] < 12


def test_what_has_to_visit_a_list_is_counted_by_name() -> None:
    schema = schema_of("rules")
    root = json.decode(schema.root, {"rules:musts": {"sum": [{"id": n, "share": 20} for n in "abc"]}})
    errors, _, fallbacks = judge(
        schema, root, put(schema, root, "/rules:musts/rules:sum[rules:id='a']/rules:share", 70)
    )
    assert [error.path.rpartition("/")[2] for error in errors] == ["rules:share"] * 3
    (name,) = fallbacks
    assert name.startswith("/rules:musts/rules:sum/rules:share: must sum(")
    assert name in constraints.costly(schema)


CHAIN: list[tuple[str, Callable[[Schema, Any], Any], list[str]]] = [
    ("nothing changed", lambda schema, root: root, []),
    (
        "indexes follow what was accepted",
        lambda schema, root: put(schema, root, f"{ONE}/inventory:zone", "empty"),
        [],
    ),
    (
        "the zone is referred to now",
        lambda schema, root: put(schema, root, "/inventory:apps/inventory:zone[inventory:name='empty']"),
        [f"{ONE}/inventory:zone"],
    ),
    ("the referrer goes", lambda schema, root: put(schema, root, ONE), []),
    (
        "and after it the zone",
        lambda schema, root: put(schema, root, "/inventory:apps/inventory:zone[inventory:name='empty']"),
        [],
    ),
]


def test_indexes_follow_accepted_changes_only() -> None:
    schema = schema_of("inventory")
    root = inventory(100)
    indexes = constraints.index(schema, root)
    # Building them before the first change shows that they are carried along.
    refused = put(schema, root, "/inventory:apps/inventory:zone[inventory:name='lonely']")
    changes = diff(schema.root, root, refused)
    assert constraints.validate_change(schema, root, refused, changes, indexes=indexes)
    for name, edit, paths in CHAIN:
        new = edit(schema, root)
        changes = diff(schema.root, root, new)
        errors = constraints.validate_change(schema, root, new, changes, indexes=indexes)
        assert [error.path for error in errors] == paths, name
        if not errors:
            indexes, root = indexes.after(changes, new), new


def test_a_change_of_most_entries_is_judged_as_a_small_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = schema_of("inventory")
    wrong = [app(f"bad-{n}", "nowhere", memory=1) for n in range(3)]
    added = json.decode(schema.root, {"inventory:apps": {"app": wrong}})
    old, most = inventory(100), inventory(3_000)
    new = apply(schema.root, most, [Edit(schema.root.child("apps"), "merge", None, added[0])])  # type: ignore[arg-type]
    changes = diff(schema.root, old, new)
    as_a_whole = constraints.validate_change(schema, old, new, changes)
    monkeypatch.setattr(constraints, "_MANY", len(changes) + 1)
    step_by_step = constraints.validate_change(schema, old, new, changes)
    assert len(as_a_whole) == 6
    assert [(e.tag, e.message, e.path) for e in as_a_whole] == [(e.tag, e.message, e.path) for e in step_by_step]


def test_what_entries_have_in_common_is_evaluated_once() -> None:
    schema = schema_of("inventory")
    counts = []
    for size in SIZES:
        check = Check(plans(schema))
        check.below(plans(schema).configuration, Cursor(schema.root, inventory(size), None))
        assert check.errors == []
        counts.append(check.evaluated)
    assert counts[1] - counts[0] == SIZES[1] - SIZES[0]  # the references, each looked up; the musts are those of 100
