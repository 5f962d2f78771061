"""The text of modules: our parser gives the statements that yangson's own gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from yangson import exceptions as yangson_errors
from yangson.statement import ModuleParser, Statement

from nms import config
from nms.model import library, module_parser

OURS = sorted(config.YANG_DIR.glob("*.yang"))
STANDARD = sorted(file for folder in library.standard_path() for file in folder.glob("ietf-y*.yang"))


def tree(statement: Statement) -> Any:
    return statement.prefix, statement.keyword, statement.argument, [tree(each) for each in statement.substatements]


def by_yangson(text: str) -> Any:
    parser = ModuleParser(text)
    parser.opt_separator()
    return tree(parser.statement())


@pytest.mark.parametrize("file", [*OURS, *STANDARD], ids=lambda file: file.name)
def test_a_real_module(file: Path) -> None:
    text = file.read_text("utf-8")
    assert tree(module_parser.parse(text)) == by_yangson(text)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "prefix m;",
        "/* a */ // b\n\tprefix /**/ m ; /* c * / ** */",
        'prefix m; // a comment with { and "\r\n contact x;',
        'contact "one\\ttwo\\"three\\\\" + "four\n five" + \'six\\n"\';',
        "contact '';contact \"\";",
        'description "// no comment /* nor this */";',
        'leaf a { type leafref { path "/m:b/" + "m:c"; } m:extra /x/y; }',
        "leaf a{type string{pattern '[\"{;]*';}}",
        "contact a/b*c//comment\n;",
    ],
)
def test_what_may_stand_in_a_module(body: str) -> None:
    text = f"\n// first\r\n module m {{ {body} }} \n"
    assert tree(module_parser.parse(text)) == by_yangson(text)


def test_what_follows_a_module() -> None:
    assert tree(module_parser.parse("module m { } // the end")) == (None, "module", "m", [])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "// nothing",
        "module m {",
        "module m { /* without an end }",
        'module m { contact "without an end; }',
        'module m { contact "\\x"; }',
        "module m { contact 'a' b; }",
        'module m { contact "a"; } }',
        "module m { } module n { }",
        "module m { leaf-list; } /* without an end",
        "container m { }",
        "module m { prefix m }",
    ],
)
def test_what_is_no_module(text: str) -> None:
    with pytest.raises(yangson_errors.YangsonException):
        module_parser.parse(text)
