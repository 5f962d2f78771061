"""Edit operations of RFC 6241 section 7.2 and RFC 7950 sections 7.5.8 to 7.10.3, one table row a rule."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from lxml import etree

from nms.errors import RpcError
from nms.model import edit, json, load, xml, xml_edit
from nms.model.edit import Op

SCHEMA = load.load([Path(__file__).parent / "modules"], ["shapes"])
START = {
    "shapes:top": {
        "text": "old",
        "tag": ["a", "b"],
        "rank": [1, 2, 3],
        "here": {},
        "item": [{"name": "one", "size": 1, "part": [{"kind": "x", "id": 1, "note": "n"}]}, {"name": "two"}],
        "step": [{"id": 1}, {"id": 2}, {"id": 3}],
        "plate": "M-1",
    }
}


def run(body: str, default: Op = "merge", attributes: str = "") -> object:
    config = etree.fromstring(
        f'<config xmlns:nc="{xml.NETCONF_NS}" xmlns:y="{xml.YANG_NS}">'
        f'<top xmlns="urn:shapes" xmlns:s="urn:shapes" {attributes}>{body}</top></config>'
    )
    root = json.decode(SCHEMA.root, START)
    edits = xml_edit.decode_edit(SCHEMA, config, default)
    return orjson.loads(json.dumps(SCHEMA.root, edit.apply(SCHEMA.root, root, edits)))["shapes:top"]


@pytest.mark.parametrize(
    ("body", "member", "expected"),
    [
        ("<text>new</text>", "text", "new"),
        ('<text nc:operation="delete"/>', "text", None),
        ('<number nc:operation="remove"/>', "number", None),
        ("<tag>c</tag>", "tag", ["a", "b", "c"]),
        ("<tag>a</tag>", "tag", ["a", "b"]),
        ('<tag nc:operation="delete">a</tag>', "tag", ["b"]),
        ('<rank y:insert="first">9</rank>', "rank", [9, 1, 2, 3]),
        ('<rank y:insert="after" y:value="1">9</rank>', "rank", [1, 9, 2, 3]),
        ('<rank y:insert="last">1</rank>', "rank", [2, 3, 1]),
        ('<here nc:operation="delete"/>', "here", None),
        ("<here/>", "here", {}),
        ('<item nc:operation="delete"><name>two</name></item><item nc:operation="delete"><name>one</name></item>',
         "item", None),
        ('<item nc:operation="replace"><name>one</name></item>', "item", [{"name": "one"}, {"name": "two"}]),
        ('<item nc:operation="remove"><name>none</name></item><item nc:operation="remove"><name>one</name></item>',
         "item", [{"name": "two"}]),
        ('<item><name>two</name><size>5</size></item><item nc:operation="remove"><name>one</name></item>',
         "item", [{"name": "two", "size": 5}]),
        ('<item><name>one</name><part nc:operation="delete"><kind>x</kind><id>1</id></part></item>',
         "item", [{"name": "one", "size": 1}, {"name": "two"}]),
        ('<step y:insert="before" y:key="[s:id=\'1\']"><id>3</id></step>', "step", [{"id": 3}, {"id": 1}, {"id": 2}]),
        ('<step y:insert="first"><id>9</id></step>', "step", [{"id": 9}, {"id": 1}, {"id": 2}, {"id": 3}]),
        ("<step><id>9</id></step>", "step", [{"id": 1}, {"id": 2}, {"id": 3}, {"id": 9}]),
        # Data of one case removes that of the others (RFC 7950 section 7.9).
        ("<shoes>new</shoes>", "plate", None),
        ("<by-train>ICE</by-train>", "plate", None),
        ("<seats>4</seats>", "plate", "M-1"),
    ],
)  # fmt: skip
def test_an_operation_leaves(body: str, member: str, expected: object) -> None:
    found = run(body)
    assert isinstance(found, dict)
    assert found.get(member) == expected


def test_replace_of_a_container_keeps_nothing_else() -> None:
    assert run("<text>only</text>", attributes='nc:operation="replace"') == {"text": "only"}


def test_default_operation_none_changes_only_what_is_marked() -> None:
    found = run('<item><name>one</name><size nc:operation="replace">9</size></item>', "none")
    assert isinstance(found, dict)
    assert found["item"][0]["size"] == 9
    assert found["text"] == "old"


@pytest.mark.parametrize(
    ("body", "default", "tag", "path"),
    [
        ('<number nc:operation="delete"/>', "merge", "data-missing", "/shapes:top/shapes:number"),
        ('<text nc:operation="create">x</text>', "merge", "data-exists", "/shapes:top/shapes:text"),
        ('<item nc:operation="create"><name>one</name></item>', "merge", "data-exists",
         "/shapes:top/shapes:item[shapes:name='one']"),
        ('<item nc:operation="delete"><name>x</name></item>', "merge", "data-missing",
         "/shapes:top/shapes:item[shapes:name='x']"),
        ('<tag nc:operation="delete">z</tag>', "merge", "data-missing", "/shapes:top/shapes:tag[.='z']"),
        ('<item><name>x</name><size nc:operation="merge">1</size></item>', "none", "data-missing",
         "/shapes:top/shapes:item[shapes:name='x']"),
        ('<text nc:operation="destroy"/>', "merge", "bad-attribute", "/shapes:top/shapes:text"),
        ('<rank y:insert="before" y:value="77">9</rank>', "merge", "bad-attribute", "/shapes:top/shapes:rank[.='9']"),
        ('<rank y:insert="before">9</rank>', "merge", "missing-attribute", "/shapes:top/shapes:rank"),
        ("<text>t</text><here/><item><name>q</name></item>", "none", "data-missing",
         "/shapes:top/shapes:item[shapes:name='q']"),
        ('<tag y:insert="first">9</tag>', "merge", "unknown-attribute", "/shapes:top/shapes:tag"),
        ("<item><size>1</size></item>", "merge", "missing-element", "/shapes:top/shapes:item"),
        ("<item><name>a</name><size>x</size></item>", "merge", "invalid-value",
         "/shapes:top/shapes:item[shapes:name='a']/shapes:size"),
        ("<text>a</text><text>b</text>", "merge", "bad-element", "/shapes:top/shapes:text"),
        ("<nothing/>", "merge", "unknown-element", "/shapes:top"),
        ('<text xmlns="urn:none"/>', "merge", "unknown-namespace", "/shapes:top"),
        ("stray", "merge", "bad-element", "/shapes:top"),
        ("<text><b/></text>", "merge", "bad-element", "/shapes:top/shapes:text"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(body: str, default: Op, tag: str, path: str) -> None:
    with pytest.raises(RpcError) as caught:
        run(body, default)
    assert (caught.value.tag, caught.value.path) == (tag, path)


def test_single_values_of_long_lists_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edit, "MOST_PLACED", 5_000_000)

    def removed(count: int) -> object:
        return run("".join(f'<tag nc:operation="remove">{n}</tag>' for n in range(count)))

    assert removed(1500) == run("")
    with pytest.raises(RpcError) as caught:
        removed(2500)
    assert (caught.value.tag, caught.value.path) == ("too-big", "/shapes:top/shapes:tag")
    many = [str(n) for n in range(4000)]  # at once they may be as many as one likes
    assert run("".join(f"<tag>{n}</tag>" for n in many))["tag"] == ["a", "b", *many]  # type: ignore[index]
