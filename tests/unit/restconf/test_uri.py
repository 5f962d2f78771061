"""The grammar of resource paths (RFC 8040 section 3.5.3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nms.errors import RpcError
from nms.model.path import InstancePath, format_path, resource_path
from nms.model.schema import Schema
from restconf import uri

_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)


@given(name=_TEXT, label=_TEXT, row=st.integers(0, 255), column=_TEXT)
def test_what_is_built_is_parsed(schema: Schema, name: str, label: str, row: int, column: str) -> None:
    depot, bay = schema.find("/depot:depot"), schema.find("/depot:depot/depot:bay")
    slot = schema.find("/depot:depot/depot:slot")
    paths: list[InstancePath] = [
        ((depot, None), (bay, name), (schema.find("/depot:depot/depot:bay/depot:label"), label)),
        ((depot, None), (bay, name), (schema.find("/depot:depot/depot:bay/depot-extra:crane"), None)),
        ((depot, None), (slot, (row, column))),
        ((depot, None), (slot, None)),
        (),
    ]
    for path in paths:
        assert uri.parse_path(schema, resource_path(path)) == path


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", "/"),
        ("/", "/"),
        ("/depot:depot", "/depot:depot"),
        ("/depot:depot/", "/depot:depot"),
        ("/depot:depot/bay=a%2Fb", "/depot:depot/depot:bay[depot:name='a/b']"),
        ("/depot:depot/depot:bay=", "/depot:depot/depot:bay[depot:name='']"),
        ("/depot:depot/bay=%C3%A9", "/depot:depot/depot:bay[depot:name='é']"),
        ("/depot:depot/bay=x=y", "/depot:depot/depot:bay[depot:name='x=y']"),
        ("/depot:depot/bay=a+b", "/depot:depot/depot:bay[depot:name='a+b']"),
        ("/depot:depot/bay=a/depot-extra:crane", "/depot:depot/depot:bay[depot:name='a']/depot-extra:crane"),
        ("/depot:depot/slot=7,", "/depot:depot/depot:slot[depot:row='7'][depot:column='']"),
        ("/depot:depot/slot=7,a%2Cb", "/depot:depot/depot:slot[depot:row='7'][depot:column='a,b']"),
        ("/depot:depot/bay=a/label=b", "/depot:depot/depot:bay[depot:name='a']/depot:label[.='b']"),
    ],
)
def test_paths(schema: Schema, text: str, path: str) -> None:
    assert format_path(uri.parse_path(schema, text)) == path


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("/depot", 400, "offset 1: expected the module name"),
        ("/depot:", 400, "offset 7: expected a name"),
        ("/:depot", 400, "offset 1: expected a module name"),
        ("//depot:depot", 400, "offset 1: expected a name"),
        ("/depot:depot/ba y", 400, "offset 15: expected a percent-encoded byte"),
        ("/depot:depot/bay=%2", 400, "offset 17: expected a percent-encoded byte"),
        ("/depot:depot/bay=%FF", 400, "offset 17: expected percent-encoded UTF-8"),
        ("/depot:depot/bay=a,b", 400, "offset 17: expected 1 key value(s) (name)"),
        ("/depot:depot/slot=1", 400, "offset 18: expected 2 key value(s) (row, column)"),
        ("/depot:depot/slot=300,a", 400, "offset 18: expected a value of 'row'"),
        ("/depot:depot/bay/name", 400, "offset 16: expected '=' and the key of list 'bay'"),
        ("/depot:depot/name=x", 400, "offset 17: expected '/' or the end of the path"),
        ("/depot:depot/name/x", 400, "offset 17: expected the end of the path"),
        ("/depot:stats/visit=1", 400, "offset 18: expected the end of the path: list 'visit' has no key"),
        ("/depot:nothing", 404, "offset 1: module 'depot' defines no 'nothing' in the top level"),
        ("/nothing:depot", 404, "offset 1: module 'nothing' is not known"),
        ("/depot:depot/bay=a/crane", 404, "offset 19: module 'depot' defines no 'crane' in list 'bay'"),
    ],
)
def test_errors_say_where_and_what(schema: Schema, text: str, status: int, said: str) -> None:
    with pytest.raises(RpcError) as caught:
        uri.parse_path(schema, text)
    assert (caught.value.tag, caught.value.status) == ("invalid-value", status)
    assert said in caught.value.message


@given(st.text(max_size=40))
def test_nothing_but_an_rpc_error_comes_out(schema: Schema, text: str) -> None:
    for candidate in (text, f"/depot:depot/bay={text}", f"/depot:{text}"):
        try:
            path = uri.parse_path(schema, candidate)
        except RpcError:
            continue
        assert uri.parse_path(schema, resource_path(path)) == path


def test_operations(schema: Schema) -> None:
    assert uri.parse_operation(schema, "depot:count") is schema.rpcs["depot", "count"]
    for text, status in (("count", 400), ("depot:nothing", 404), ("", 400)):
        with pytest.raises(RpcError) as caught:
            uri.parse_operation(schema, text)
        assert caught.value.status == status
