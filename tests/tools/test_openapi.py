"""The OpenAPI document of a model set: valid by an independent validator, and true to the server and to its data."""

from __future__ import annotations

import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from nms.cli import main
from nms.config import YANG_DIR
from nms.model import json as rfc7951
from nms.model.schema import Schema
from restconf import data, uri
from tools.model.engine import compiled
from tools.model.sample import sample
from tools.openapi.document import document
from tools.openapi.pattern import ecma

PLAIN = ("ietf-interfaces:*", "ietf-ip:*", "iana-if-type", "ietf-system:*")
IETF = (*PLAIN, "ietf-routing", "ietf-ipv4-unicast-routing")
OURS = ("mec-platform:*", "mec-catalogue:*", "mec-sla:*")
JUKEBOX = Path(__file__).parents[1] / "conformance" / "restconf" / "models"


@cache
def schema_of(modules: tuple[str, ...]) -> Schema:
    return compiled([YANG_DIR, JUKEBOX], modules)


@cache
def described(modules: tuple[str, ...], leafs: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(document(schema_of(modules), leafs=leafs)))
    return found


@pytest.mark.parametrize("modules", [("example-jukebox",), IETF, ("mec-sla:*",)], ids=lambda modules: modules[0])
def test_the_document_is_valid_openapi(modules: tuple[str, ...]) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(described(modules)).iter_errors()] == []


@pytest.mark.parametrize("modules", [("example-jukebox",), IETF, OURS], ids=lambda modules: modules[0])
def test_methods_are_the_server_s(modules: tuple[str, ...]) -> None:
    schema = schema_of(modules)
    for path, item in described(modules, True)["paths"].items():
        methods = {name.upper() for name in item} - {"PARAMETERS"}
        if path.startswith("/restconf/data"):
            node = schema.root
            steps = []
            for segment in path.removeprefix("/restconf/data/").split("/") if path != "/restconf/data" else ():
                name, keyed, _ = segment.partition("=")
                module, _, local = name.rpartition(":")
                below = [*node.children, *node.actions]
                node = next(child for child in below if (child.name, child.module) == (local, module or node.module))
                steps.append((node, "k" if keyed else None))
            assert methods <= set(data.allowed(tuple(steps))), path
            left_out = {"HEAD", "OPTIONS"} | ({"POST"} if not any(child.config for child in node.children) else set())
            assert set(data.allowed(tuple(steps))) - left_out - {"POST"} <= methods | {"POST"}, path
        else:
            assert methods == {"POST"}
            assert uri.parse_operation(schema, path.rpartition("/")[2]) is not None


def validator(document: dict[str, Any], path: str, method: str = "get") -> Draft202012Validator:
    content = document["paths"][path][method]["responses"]["200"]["content"]["application/yang-data+json"]["schema"]
    return Draft202012Validator({"components": document["components"], **content})


@pytest.mark.parametrize(
    ("modules", "module"),
    [(PLAIN, "ietf-interfaces"), (PLAIN, "ietf-system"), (OURS, "mec-platform"), (OURS, "mec-catalogue")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_data_is_as_the_document_says(modules: tuple[str, ...], module: str) -> None:
    schema = schema_of(modules)
    content = {"ietf-restconf:data": rfc7951.plain(schema.root, sample(schema, module))}
    found = [error.message for error in validator(described(modules), "/restconf/data").iter_errors(content)]
    assert found == []


@pytest.mark.parametrize(
    ("song", "right"),
    [
        ({"name": "a", "location": "x", "length": 5}, True),
        ({"location": "x"}, False),
        ({"name": "", "location": "x"}, False),
        ({"name": "a", "length": -1}, False),
        ({"name": "a", "length": "5"}, False),
    ],
)
def test_wrong_data_is_not(song: dict[str, Any], right: bool) -> None:
    path = "/restconf/data/example-jukebox:jukebox/library/artist={artist-name}/album={album-name}/song={song-name}"
    checked = validator(described(("example-jukebox",)), path)
    assert checked.is_valid({"example-jukebox:song": [song]}) is right


def test_rpcs_and_security() -> None:
    found = described(("example-jukebox",))
    play = found["paths"]["/restconf/operations/example-jukebox:play"]["post"]
    assert play["requestBody"]["required"] is True
    assert set(found["components"]["securitySchemes"]) == {"basic", "certificate"}
    gap = found["components"]["schemas"]["example-jukebox.jukebox.player"]["properties"]["gap"]
    assert (gap["default"], "0.0..2.0" in gap["description"]) == ("0.5", True)
    assert found["components"]["schemas"]["example-jukebox.jukebox.library"]["properties"]["artist-count"]["readOnly"]


@pytest.mark.parametrize(
    ("written", "right", "wrong"),
    [
        ("[a-z]+", "abc", "ABC abc"),
        ("a|b", "b", "ab"),
        (r"\d{2}$^", "12$^", "12"),
        (r"\i\c*", "_x-1", "-x"),
        (r"[\i-[:]]*", None, None),
        (r"(%[\p{N}\p{L}]+)?", "%éa9", "%-"),
        (r"\p{IsGreek}", None, None),
        (r"[^\-]+\-\:", "a-:", "--:"),
        (r"[$^]", "^", "a"),
    ],
)
def test_patterns(written: str, right: str | None, wrong: str | None) -> None:
    translated = ecma(written)
    if right is None or wrong is None:
        assert translated is None
    else:
        assert translated is not None
        assert re.search(translated, right)
        assert not re.search(translated, wrong)


def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["nms"])
    assert main(["model", "openapi", "example-jukebox", "--path", str(JUKEBOX), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["openapi"], found["info"]["version"]) == ("3.1.0", "2016-08-15")
    assert main(["model", "openapi", "example-jukebox", "--path", str(JUKEBOX)]) == 0
    assert "/restconf/operations/example-jukebox:play" in capsys.readouterr().out
