"""Generated decoders and encoders: a model may use any name, those of the generator's own variables too."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from lxml import etree

from nms.model import json, xml
from nms.model.load import load

#: What the generated source binds beside the children's variables.
NAMES = ("known", "parse", "codec", "blank", "list", "items", "all", "leaf", "to_json", "members", "value", "item")


@pytest.mark.parametrize("before", range(3))
def test_leafs_are_named_as_the_generators_variables(tmp_path: Path, before: int) -> None:
    leafs = [*(f"other{n}" for n in range(before)), *NAMES]
    body = "".join(f"leaf {name} {{ type boolean; }}" for name in leafs)
    (tmp_path / "m.yang").write_text(
        f"module m {{ yang-version 1.1; namespace urn:m; prefix m; list l {{ key id; leaf id {{ type string; }} {body} "
        f"container list_{before + 7} {{ leaf-list known {{ type uint8; }} }} }} }}"
    )
    schema = load([tmp_path], ["m"])
    entry = {"id": "a", **dict.fromkeys(leafs, True), f"list_{before + 7}": {"known": [1, 2]}}
    value = json.decode(schema.root, {"m:l": [entry]})
    text = xml.encode(schema.root, value)
    again = xml.decode(schema.root, etree.fromstring(xml.fragment(text)))
    for each in (value, again):
        assert orjson.loads(orjson.dumps(json.encode(schema.root, each))) == {"m:l": [entry]}
