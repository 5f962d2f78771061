"""A second opinion: libyang validates the same random data by the same models, and both verdicts must agree.

libyang names an absent mandatory node by its parent; it stops early at false whens and at dangling references, so
beside such errors only the verdicts are compared, and that all which libyang found we found too.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import oopt_gnpy_libyang as ly
import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nms.errors import RpcError
from nms.model import constraints, json, load
from nms.model.schema import Node, Schema
from nms.model.types import Type

MODULES = Path(__file__).parents[1] / "unit" / "model" / "modules"

#: Conditions over the container `data` of the module written below.  Left out, with their cases in the unit tests:
#: a number as predicate on a reverse axis from several nodes, which libyang counts over all of them together and not
#: for each (XPath 1.0 section 2.4), and preceding-sibling, on which libyang 4 crashes with several siblings.
CONDITIONS = [
    "../data/s = ../data/t",
    "../data/s != ../data/t",
    "../data/s = 'a'",
    "../data/s != 'a'",
    "'b' = ../data/word",
    "../data/word != 'b'",
    "../data/word = ../data/s",
    "../data/word != ../data/word",
    "../data/n = 3",
    "../data/n > ../data/m",
    "../data/n <= ../data/m",
    "../data/row/v > 2",
    "../data/row/v < ../data/n",
    "not(../data/row/v >= ../data/row/w)",
    "../data/n + ../data/m = 5",
    "../data/n * 2 - ../data/m > 1",
    "../data/n div ../data/m > 1",
    "../data/n mod 2 = 1",
    "-../data/n < -2",
    "../data/d > 1.5",
    "../data/d = '1.5'",
    "../data/b = 'true'",
    "../data/b = true()",
    "boolean(../data/b)",
    "not(../data/s)",
    "../data/s or ../data/t",
    "../data/s and ../data/t",
    "count(../data/row) = 2",
    "count(../data/word) > 1",
    "count(../data/*) > 8",
    "count(../data/row/*) mod 2 = 0",
    "count(//v) < 2",
    "sum(../data/row/v) = 5",
    "string-length(../data/s) > 1",
    "string(../data/n) = '3'",
    "string(../data/d) = '1.5'",
    "concat(../data/s, ../data/t) = 'ab'",
    "starts-with(../data/s, 'a')",
    "contains(../data/s, ../data/t)",
    "substring(../data/s, 2, 1) = 'b'",
    "substring-before(../data/s, 'b') = 'a'",
    "substring-after(../data/s, 'a') = 'b'",
    "translate(../data/s, 'ab', 'ba') = ../data/t",
    "normalize-space(../data/s) = 'a'",
    "number(../data/s) = 3",
    "floor(../data/d) = 1",
    "ceiling(../data/d) = 2",
    "round(../data/d) = 2",
    "local-name(../data/row) = 'row'",
    "re-match(../data/s, '[ab]{2}')",
    "enum-value(../data/e) > 4",
    "bit-is-set(../data/f, 'up')",
    "derived-from(../data/i, 'o:round')",
    "derived-from-or-self(../data/i, 'o:round')",
    "../data/row[k='a']/v = 3",
    "../data/row[k=../../data/s]/v",
    "../data/row[k=current()/../data/s]/v = ../data/n",
    "../data/row[v > 1][1]/k = 'a'",
    "../data/row[2]/k = 'b'",
    "../data/row[last()]/k = 'b'",
    "../data/row[position() = last() - 1]",
    "../data/row[v and w]",
    "../data/row[v][w]/k = 'a'",
    "../data/row/../n = 3",
    "../data/row[v = 3] | ../data/word",
    "count(../data/s | ../data/t | ../data/s) = 2",
    "../data/row[k='a']/following-sibling::row/v = 3",
    "../data/row/ancestor::data/n = 3",
    "../data/row[k='b']/ancestor-or-self::row[1]/k = 'b'",
    "count(../data/descendant::*) > 9",
    "count(../data/descendant-or-self::*) > 9",
    "../data/row/parent::data/s",
    "../data/row/self::row[k='a']",
    "deref(../data/ref)/../v = 3",
    "deref(../data/ref)/../../n = 3",
    "../data/with-default = 'dflt'",
    "../data/inner/deep-default > ../data/n",
    "../data/words-default = 'y'",
    "../data/when-default = 'w'",
    "../data/one-default or ../data/two-default",
    "../data/two-default = '2'",
    "/o:data/o:row/o:v = /o:data/o:n",
    "/o:data/o:row[o:k = /o:data/o:s]",
    "count(/o:data/o:row[o:v > current()/../data/n]) > 0",
    "../data/row[count(../row) > 1]/k = 'a'",
    "../data/row[not(v)]",
    "../data/row[v != 3]",
    "(../data/row)[1]/k = 'a'",
    "(../data/row/k | ../data/word)[2] = 'b'",
    "../data/pair[a='1'][b=current()/../data/s]",
    "../data/pair[b='a' and a=1]",
]
ORACLE = """module oracle {
  yang-version 1.1;
  namespace "urn:oracle";
  prefix o;
  identity shape;
  identity round { base shape; }
  identity circle { base round; }
  container data {
    leaf s { type string; }
    leaf t { type string; }
    leaf n { type uint8; }
    leaf m { type int32; }
    leaf d { type decimal64 { fraction-digits 2; } }
    leaf b { type boolean; }
    leaf e { type enumeration { enum low; enum high { value 9; } } }
    leaf f { type bits { bit up; bit fast; } }
    leaf i { type identityref { base shape; } }
    leaf-list word { type string; ordered-by user; }
    list row { key k; ordered-by user; leaf k { type string; } leaf v { type uint8; } leaf w { type uint8; } }
    list pair { key "a b"; leaf a { type uint8; } leaf b { type string; } }
    leaf ref { type leafref { path "../row/k"; require-instance false; } }
    leaf with-default { type string; default dflt; }
    leaf-list words-default { type string; default x; default y; }
    container inner { leaf deep-default { type uint8; default 3; } }
    leaf when-default { when "../s"; type string; default w; }
    choice how {
      default one;
      case one { leaf one-default { type string; default "1"; } leaf one-other { type string; } }
      case two { leaf two { type string; } leaf two-default { type string; default "2"; } }
    }
  }
%s
}
"""


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@pytest.fixture(scope="session")
def conditions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the module that has each condition on a container of its own."""
    folder = tmp_path_factory.mktemp("oracle")
    checks = "\n".join(f"  container c{i} {{ must {quoted(c)}; }}" for i, c in enumerate(CONDITIONS))
    (folder / "oracle.yang").write_text(ORACLE % checks, encoding="utf-8")
    return folder


@cache
def engines(name: str, folder: Path) -> tuple[Schema, ly.Context]:
    """Our schema and libyang's of one module."""
    ly.set_log_options(ly.LogOptions.Store)
    # We take modules that hold nothing but types and identities for implemented, libyang only if it is told so.
    context = ly.Context(str(folder), ly.ContextOptions.NoYangLibrary | ly.ContextOptions.AllImplemented)
    context.load_module(name)
    return load.load([folder], [name]), context


#: Small pools, so that values meet.
POOLS: dict[str, list[Any]] = {
    "string": ["a", "b", "ab", "", "3", "bad", "full", "yes", "rail", "gw", " a "],
    "uint8": [0, 1, 2, 3, 5, 13, 40, 60],
    "uint16": [1, 80],
    "uint32": [1, 2, 3],
    "int32": [-3, 0, 1, 2, 3],
    "decimal64": ["1.5", "-1.5", "2.0", "0.25", "3.0"],
    "boolean": [True, False],
    "empty": [[None]],
    "instance-identifier": [f"/rules:refs/{p}" for p in ("host[name='a']", "plain", "to-ip", "hosts[.='b']")],
}
FLAT = {"string": ["a", "b", "c"]}


def scalar(kind: Type, *, key: bool = False) -> st.SearchStrategy[Any]:
    if kind.members:
        return st.sampled_from([1, "a", "b"])
    if kind.enums:
        return st.sampled_from(sorted(kind.enums))
    if kind.bits:
        return st.lists(st.sampled_from(sorted(kind.bits)), unique=True).map(
            lambda b: " ".join(sorted(b, key=kind.bits.get))
        )
    if kind.identities:
        return st.sampled_from(sorted(kind.identities))
    return st.sampled_from((FLAT if key else {}).get(kind.base, POOLS[kind.base]))


@st.composite
def members(draw: st.DrawFn, node: Node, module: str = "") -> dict[str, Any]:
    """RFC 7951 members of an inner node's configuration; one case of each choice."""
    chosen = {id(choice): draw(st.sampled_from(sorted(choice.cases))) for choice in node.choices}
    found: dict[str, Any] = {}
    for child in node.children:
        if not child.config or any(chosen[id(choice)] != case for choice, case in child.cases):
            continue
        if child not in node.keys and not draw(st.booleans()):
            continue
        name = f"{child.module}:{child.name}" if child.module != module else child.name
        if child.kind == "leaf":
            assert child.type is not None
            found[name] = draw(scalar(child.type, key=child in node.keys))
        elif child.kind == "leaf-list":
            assert child.type is not None
            found[name] = draw(st.lists(scalar(child.type), unique=True, min_size=1, max_size=3))
        elif child.kind == "container":
            inner = draw(members(child, child.module))
            # An empty non-presence container says nothing (RFC 7950 section 7.5.1); libyang minds it under a when.
            if inner or child.presence:
                found[name] = inner
        elif child.kind == "list":
            rows = draw(st.lists(members(child, child.module), min_size=1, max_size=4))
            keys = [key.name for key in child.keys]
            found[name] = list({tuple(row[k] for k in keys): row for row in rows}.values())
        else:
            found[name] = {}
    return found


def of_list(path: str, app_tag: str) -> str:
    """A path without the keys of its entry, where libyang names one of several entries that are at fault together.

    RFC 7950 sections 15.2 and 15.3 want the path of the list for too many or few; 15.1 leaves it open for `unique`.
    """
    together = ("too-many-elements", "too-few-elements", "data-not-unique")
    return (
        path[: path.rindex("/") + 1] + path[path.rindex("/") + 1 :].partition("[")[0] if app_tag in together else path
    )


def libyang(context: ly.Context, data: dict[str, Any]) -> set[str]:
    """Paths of what libyang complains about."""
    try:
        context.parse_data(
            orjson.dumps(data).decode(),
            ly.DataFormat.JSON,
            ly.ParseOptions.Strict | ly.ParseOptions.NoState,
            ly.ValidationOptions.NoState | ly.ValidationOptions.MultiError,
        )
    except ly.Error:
        found = {of_list(str(error.data_path), error.app_tag) for error in context.errors()}
        context.clean_all_errors()
        return found
    return set()


def ours(schema: Schema, data: dict[str, Any]) -> list[RpcError]:
    return constraints.validate(schema, json.decode(schema.root, data))


def where(error: RpcError, module: str) -> str:
    """The path of an error in libyang's way."""
    path = error.path.replace(f"{module}:", "")
    if error.tag == "data-missing" and not error.app_tag:
        path = path.rpartition("/")[0]
    return of_list(path, error.app_tag)


@given(data=st.data())
@pytest.mark.parametrize("name", ["needs", "cases", "whens", "refs", "uniques", "musts"])
def test_libyang_agrees_on_constraints(name: str, data: st.DataObject) -> None:
    schema, context = engines("rules", MODULES)
    node = schema.find(f"/rules:{name}")
    instance = {f"rules:{name}": data.draw(members(node, "rules"))}
    mine = ours(schema, instance)
    theirs = {path.replace("rules:", "") for path in libyang(context, instance)}
    assert bool(mine) == bool(theirs), (mine, theirs)
    if not any(error.tag == "unknown-element" for error in mine):
        assert theirs <= {where(error, "rules") for error in mine}


@given(data=st.data())
def test_libyang_agrees_on_conditions(conditions: Path, data: st.DataObject) -> None:
    schema, context = engines("oracle", conditions)
    instance = {"oracle:data": data.draw(members(schema.find("/oracle:data"), "oracle"))}
    # A when-default that is set while its when is false ends libyang's validation.
    assume("when-default" not in instance["oracle:data"] or "s" in instance["oracle:data"])
    # deref() of a dangling leafref is no node (RFC 7950 section 10.3.1), and an error for libyang.
    keys = [row["k"] for row in instance["oracle:data"].get("row", ())]
    assume(instance["oracle:data"].get("ref") in keys or "ref" not in instance["oracle:data"])
    mine = {where(error, "oracle") for error in ours(schema, instance)}
    theirs = {path.replace("oracle:", "") for path in libyang(context, instance)}
    differ = mine ^ theirs
    assert not differ, [(CONDITIONS[int(path[2:])], path in mine) for path in sorted(differ)]
