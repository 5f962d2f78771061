"""Validation: each kind of constraint met and violated, with the tag, app-tag and path of RFC 7950 section 15."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nms.model import constraints, json
from nms.model.load import load
from nms.model.path import parse_path
from nms.model.schema import Schema

MODULES = Path(__file__).parent / "modules"

Verdict = list[tuple[str, str, str]]


@pytest.fixture(scope="module")
def schema() -> Schema:
    return load([MODULES], ["rules"])


def verdict(schema: Schema, name: str, members: Any, *, config: bool = True) -> Verdict:
    """(tag, app-tag, path) of each violation, the module's prefix left out of the paths."""
    root = json.decode(schema.root, {f"rules:{name}": members})
    errors = constraints.validate(schema, root, config=config)
    assert all(error.message for error in errors)
    return [(error.tag, error.app_tag, error.path.replace("rules:", "")) for error in errors]


NEEDS = {
    "one": "1",
    "deep": {"deeper": {"two": "2"}},
    "left": "l",
    "left-more": "m",
    "some": ["s"],
    "few": [{"id": "f"}],
    "any": {},
}


def needs(*without: str, **more: Any) -> dict[str, Any]:
    return {k: v for k, v in NEEDS.items() if k not in without} | {k.replace("_", "-"): v for k, v in more.items()}


CASES: list[tuple[str, str, Any, Verdict]] = [
    # mandatory (7.6.5, 7.9.4, 7.10), in existing parents and through non-presence containers
    ("nothing is mandatory in an absent presence container", "cases", {}, []),
    ("all there", "needs", needs(), []),
    ("mandatory leaf", "needs", needs("one"), [("data-missing", "", "/needs/one")]),
    ("below absent containers", "needs", needs("deep"), [("data-missing", "", "/needs/deep/deeper/two")]),
    ("mandatory anydata", "needs", needs("any"), [("data-missing", "", "/needs/any")]),
    ("mandatory choice", "needs", needs("left", "left-more"), [("data-missing", "missing-choice", "/needs")]),
    ("mandatory in the chosen case", "needs", needs("left-more"), [("data-missing", "", "/needs/left-more")]),
    (
        "mandatory choice in the chosen case",
        "needs",
        needs("left", "left-more", right="r"),
        [("data-missing", "missing-choice", "/needs")],
    ),
    ("a nested choice made", "needs", needs("left", "left-more", in_a="x"), []),
    (
        "everything at once, in order",
        "needs",
        {},
        [
            ("data-missing", "missing-choice", "/needs"),
            ("data-missing", "", "/needs/one"),
            ("data-missing", "", "/needs/deep/deeper/two"),
            ("operation-failed", "too-few-elements", "/needs/some"),
            ("operation-failed", "too-few-elements", "/needs/few"),
            ("data-missing", "", "/needs/any"),
        ],
    ),
    # min-elements, max-elements (15.2, 15.3)
    ("two are allowed", "needs", needs(some=["a", "b"], few=[{"id": "a"}, {"id": "b"}]), []),
    ("too few leaf-list entries", "needs", needs("some"), [("operation-failed", "too-few-elements", "/needs/some")]),
    ("too few entries", "needs", needs("few"), [("operation-failed", "too-few-elements", "/needs/few")]),
    (
        "too many leaf-list entries",
        "needs",
        needs(some=["a", "b", "c"]),
        [("operation-failed", "too-many-elements", "/needs/some")],
    ),
    (
        "too many entries",
        "needs",
        needs(few=[{"id": i} for i in "abc"]),
        [("operation-failed", "too-many-elements", "/needs/few")],
    ),
    # choice (7.9)
    ("min-elements of a chosen case", "cases", {"o": "x"}, [("operation-failed", "too-few-elements", "/cases/many")]),
    ("min-elements of the chosen case met", "cases", {"many": [{"k": "1"}, {"k": "2"}]}, []),
    (
        "a must on a container of the default case",
        "cases",
        {"m": "bad"},
        [("operation-failed", "box-shut", "/cases/box")],
    ),
    ("which is not there in another case", "cases", {"m": "bad", "many": [{"k": "1"}, {"k": "2"}]}, []),
    ("a must on a set leaf", "cases", {"d": 11}, [("operation-failed", "must-violation", "/cases/d")]),
    # when (7.21.5)
    ("mandatory nodes under a false when are not wanted", "whens", {}, []),
    (
        "all there under a true when",
        "whens",
        {
            "mode": "full",
            "only-full": "yes",
            "full-box": {"must-have": "x"},
            "full-list": [{"k": "1"}],
            "to": "t",
            "by-road": [None],
            "added": "a",
        },
        [],
    ),
    (
        "mandatory nodes under a true when",
        "whens",
        {"mode": "full"},
        [
            ("data-missing", "missing-choice", "/whens"),
            ("data-missing", "", "/whens/only-full"),
            ("data-missing", "", "/whens/full-box/must-have"),
            ("operation-failed", "too-few-elements", "/whens/full-list"),
            ("data-missing", "", "/whens/to"),
        ],
    ),
    (
        "data under a false when",
        "whens",
        {
            "only-full": "x",
            "full-box": {"must-have": "x"},
            "full-list": [{"k": "1"}],
            "from": "f",
            "by-road": [None],
            "added": "a",
        },
        [
            ("unknown-element", "", f"/whens/{name}")
            for name in ("only-full", "full-box", "full-list", "from", "by-road")
        ]
        + [("operation-failed", "must-violation", "/whens/chained"), ("unknown-element", "", "/whens/added")],
    ),
    (
        "a when on a case",
        "whens",
        {
            "mode": "full",
            "only-full": "yes",
            "full-box": {"must-have": "x"},
            "full-list": [{"k": "1"}],
            "to": "t",
            "by-rail": [None],
        },
        [("unknown-element", "", "/whens/by-rail")],
    ),
    # references (9.9, 9.13; 15.5)
    (
        "references that hold",
        "refs",
        {
            "host": [{"name": "a", "ip": "1", "port": [{"proto": "rules-types:tcp", "number": 5}]}, {"name": "gw"}],
            "to-host": "a",
            "to-ip": "1",
            "to-port": 5,
            "to-default": "p",
            "loose": "zz",
            "hosts": ["a", "gw"],
            "want-default": [None],
            "pointer": "/rules:refs/host[name='a']/port[proto='rules-types:tcp'][number='5']/number",
            "loose-pointer": "/rules:refs/host[name='q']",
            "mixed": "a",
        },
        [],
    ),
    ("no such entry", "refs", {"to-host": "a"}, [("data-missing", "instance-required", "/refs/to-host")]),
    (
        "no such leaf",
        "refs",
        {"host": [{"name": "a"}], "to-ip": "1"},
        [("data-missing", "instance-required", "/refs/to-ip")],
    ),
    (
        "in the wrong entry",
        "refs",
        {
            "host": [{"name": "a"}, {"name": "b", "port": [{"proto": "rules-types:tcp", "number": 5}]}],
            "to-host": "a",
            "to-port": 5,
        },
        [("data-missing", "instance-required", "/refs/to-port")],
    ),
    ("not the default", "refs", {"to-default": "q"}, [("data-missing", "instance-required", "/refs/to-default")]),
    (
        "one of a leaf-list",
        "refs",
        {"host": [{"name": "a"}], "hosts": ["a", "b"]},
        [("data-missing", "instance-required", "/refs/hosts[.='b']")],
    ),
    (
        "a default that refers to nothing",
        "refs",
        {"want-default": [None]},
        [("data-missing", "instance-required", "/refs/by-default")],
    ),
    (
        "instance-identifier",
        "refs",
        {"pointer": "/rules:refs/host[name='a']"},
        [("data-missing", "instance-required", "/refs/pointer")],
    ),
    ("instance-identifier of a default", "refs", {"pointer": "/rules:refs/plain"}, []),
    (
        "instance-identifier of nothing",
        "refs",
        {"pointer": "/rules:refs/to-host"},
        [("data-missing", "instance-required", "/refs/pointer")],
    ),
    ("another member of a union", "refs", {"mixed": 7}, []),
    # unique (7.8.3; 15.1)
    ("leafs that differ", "uniques", {"server": [{"name": "a", "ip": "1"}, {"name": "b", "ip": "2"}]}, []),
    ("entries that lack a leaf do not count", "uniques", {"server": [{"name": "a"}, {"name": "b"}]}, []),
    (
        "defaults count",
        "uniques",
        {
            "server": [
                {"name": "a", "ip": "1"},
                {"name": "b", "ip": "1", "port": {"number": 80}},
                {"name": "c", "ip": "1", "port": {"number": 81}},
            ]
        },
        [("operation-failed", "data-not-unique", "/uniques/server[name='b']")],
    ),
    (
        "each unique by itself",
        "uniques",
        {"server": [{"name": "a", "ip": "1", "alias": "x"}, {"name": "b", "ip": "2", "alias": "x"}]},
        [("operation-failed", "data-not-unique", "/uniques/server[name='b']")],
    ),
    # must (7.5.3; 15.4)
    (
        "musts that hold",
        "musts",
        {"low": 1, "high": 2, "plain": 12, "odd": [1, 3], "sum": [{"id": "a", "share": 60}, {"id": "b", "share": 40}]},
        [],
    ),
    ("the model's own words", "musts", {"low": 3, "high": 2}, [("operation-failed", "range", "/musts/high")]),
    ("compared with nothing", "musts", {"high": 2}, [("operation-failed", "range", "/musts/high")]),
    ("the standard app-tag", "musts", {"plain": 13}, [("operation-failed", "must-violation", "/musts/plain")]),
    ("one leaf-list entry", "musts", {"odd": [1, 2]}, [("operation-failed", "must-violation", "/musts/odd[.='2']")]),
    (
        "every entry",
        "musts",
        {"sum": [{"id": i} for i in "abcd"]},
        [("operation-failed", "must-violation", f"/musts/sum[id='{i}']") for i in "abcd"],
    ),
    (
        "every leaf",
        "musts",
        {"sum": [{"id": "a", "share": 60}, {"id": "b", "share": 41}]},
        [("operation-failed", "must-violation", f"/musts/sum[id='{i}']/share") for i in "ab"],
    ),
    (
        "an identity by prefix",
        "musts",
        {"sum": [{"id": "a", "share": 60, "transport": "rules-types:udp"}]},
        [("operation-failed", "must-violation", "/musts/sum[id='a']/transport")],
    ),
    ("another identity", "musts", {"sum": [{"id": "a", "share": 60, "transport": "rules-types:tcp"}]}, []),
]


@pytest.mark.parametrize(("name", "members", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_verdict(schema: Schema, name: str, members: Any, expected: Verdict) -> None:
    assert verdict(schema, name, members) == expected


def test_errors_speak_the_models_words_and_name_the_leafs(schema: Schema) -> None:
    root = json.decode(schema.root, {"rules:musts": {"low": 3, "high": 2}})
    assert [e.message for e in constraints.validate(schema, root)] == ["high is below low"]
    members = {"server": [{"name": "a", "ip": "1"}, {"name": "b", "ip": "1"}]}
    (error,) = constraints.validate(schema, json.decode(schema.root, {"rules:uniques": members}))
    assert error.info["non-unique"].split("\n") == [
        f"/rules:uniques/rules:server[rules:name='{name}']/rules:{leaf}"
        for name in "ab"
        for leaf in ("ip", "port/rules:number")
    ]
    (error,) = constraints.validate(schema, json.decode(schema.root, {"rules:needs": needs("left", "left-more")}))
    assert error.info == {"missing-choice": "either"}


def test_cases_exclude_each_other(schema: Schema) -> None:
    both = json.decode(schema.root, {"rules:cases": {"d": 1}})
    other = json.decode(schema.root, {"rules:cases": {"many": [{"k": "1"}, {"k": "2"}]}})
    index = schema.find("/rules:cases").index
    mixed = tuple(a if a is not None else b for a, b in zip(both[index], other[index], strict=True))
    root = (*both[:index], mixed, *both[index + 1 :])
    (error,) = constraints.validate(schema, root)
    assert (error.tag, error.path, error.info) == ("bad-element", "/rules:cases/rules:many", {"bad-element": "many"})


def test_configuration_leaf_lists_have_no_duplicates(schema: Schema) -> None:
    node = schema.find("/rules:words")
    values = list(schema.root.blank)
    values[node.index] = ("a", "b", "a")
    (error,) = constraints.validate(schema, tuple(values))
    assert (error.tag, error.app_tag, error.path) == ("operation-failed", "data-not-unique", "/rules:words[.='a']")


def test_state_is_asked_for_in_operational_data_only(schema: Schema) -> None:
    assert constraints.validate(schema, schema.root.blank) == []
    errors = constraints.validate(schema, schema.root.blank, config=False)
    assert [(e.tag, e.path) for e in errors] == [("data-missing", "/rules:state/rules:needed")]
    assert verdict(schema, "state", {"needed": "x", "twice": ["a", "a"]}, config=False) == []


def operation(schema: Schema, path: str, members: Any, root: Any = None, parent: str = "") -> Verdict:
    node = schema.find(path)
    data = json.decode(schema.root, root) if root is not None else None
    value = json.decode(node, members)
    above = parse_path(schema, parent) if parent else ()
    errors = constraints.validate_value(schema, node, value, data, parent=above)
    return [(error.tag, error.app_tag, error.path.replace("rules:", "")) for error in errors]


HOST = {"rules:refs": {"host": [{"name": "a"}, {"name": "b", "ip": "1"}]}}
MOVE = "/rules:move/rules:input"


def test_rpc_input_sees_the_datastore_and_itself(schema: Schema) -> None:
    assert operation(schema, MOVE, {"rules:host": "a", "rules:speed": 9, "rules:up": [None]}, HOST) == []
    assert operation(schema, MOVE, {"rules:host": "c", "rules:up": [None]}, HOST) == [
        ("data-missing", "instance-required", "/move/host")
    ]
    assert operation(schema, MOVE, {"rules:host": "a", "rules:speed": 10, "rules:up": [None]}, HOST) == [
        ("operation-failed", "must-violation", "/move/speed")
    ]
    assert operation(schema, MOVE, {}) == [
        ("data-missing", "missing-choice", "/move"),
        ("missing-element", "", "/move/host"),
    ]


def test_rpc_output_and_notification(schema: Schema) -> None:
    output = "/rules:move/rules:output"
    assert operation(schema, output, {"rules:done": True}) == []
    assert operation(schema, output, {"rules:done": False}) == [("operation-failed", "must-violation", "/move/done")]
    assert operation(schema, "/rules:alarm", {}) == [("data-missing", "", "/alarm/text")]


def test_actions_and_nested_notifications_stand_below_their_instance(schema: Schema) -> None:
    reset = "/rules:refs/rules:host/rules:reset/rules:input"
    at = "/rules:refs/host[name='{}']"
    assert operation(schema, reset, {"rules:hard": True}, HOST, at.format("b")) == []
    assert operation(schema, reset, {"rules:hard": True}, HOST, at.format("a")) == [
        ("operation-failed", "must-violation", "/refs/host[name='a']/reset/hard")
    ]
    changed = "/rules:refs/rules:host/rules:changed"
    assert operation(schema, changed, {"rules:to": "b"}, HOST, at.format("a")) == []
    assert operation(schema, changed, {"rules:to": "a"}, HOST, at.format("a")) == [
        ("operation-failed", "must-violation", "/refs/host[name='a']/changed/to")
    ]
