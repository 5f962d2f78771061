"""The page: what is offered of each RFC, what is not and why, and then section by section what shows it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Final

from tools.conformance.evidence import Evidence, Shown
from tools.conformance.table import OFFERED, Section, Table

#: Where the page stands, relative to the project's folder; its links start there.
PAGE: Final = "docs/conformance.md"

_WORDS: Final = {"yes": "yes", "partly": "partly", "no": "not offered"}

_HEAD: Final = """# Conformance

What is implemented of each RFC, section by section, and which test shows it. Sections that ask nothing of a server
(introductions, terminology, examples, considerations) are left out.

This page is written by `python -m tools.conformance` from the tables in `tools/conformance/sections` and from the
conformance cases, which bear RFC and section in their names: a pair of files each in `tests/conformance/netconf`, a
folder each in `tests/conformance/restconf/cases`. `make check` and `make test` refuse a page that is not what would be
written, a section said to be implemented that nothing shows, and a test that is not there.
"""


def render(tables: Sequence[Table], evidence: Evidence) -> str:
    """The page as Markdown."""
    return "\n".join([_HEAD, *_overview(tables), *_missing(tables), *_details(tables, evidence)])


def _overview(tables: Sequence[Table]) -> Iterator[str]:
    yield "| RFC | title | sections | partly | not offered |"
    yield "| --- | --- | --- | --- | --- |"
    for table in tables:
        of = {offered: sum(section.offered == offered for section in table.sections) for offered in OFFERED}
        yield (
            f"| [{table.rfc}](#rfc-{table.rfc}) | {_cell(table.title)} | {len(table.sections)} "
            f"| {of['partly'] or ''} | {of['no'] or ''} |"
        )
    yield ""


def _missing(tables: Sequence[Table]) -> Iterator[str]:
    yield "## What is missing, and why"
    yield ""
    yield "| RFC | section | title | | reason |"
    yield "| --- | --- | --- | --- | --- |"
    for table in tables:
        for section in table.sections:
            if section.offered != "yes":
                yield (
                    f"| {table.rfc} | {_number(table, section)} | {_cell(section.title)} "
                    f"| {_WORDS[section.offered]} | {_cell(section.note)} |"
                )
    yield ""


def _details(tables: Sequence[Table], evidence: Evidence) -> Iterator[str]:
    for table in tables:
        yield f"## RFC {table.rfc}"
        yield ""
        yield f"{_cell(table.title)}."
        yield ""
        yield "| section | title | implemented | shown by |"
        yield "| --- | --- | --- | --- |"
        for section in table.sections:
            offered = _WORDS[section.offered] + (f": {section.note}" if section.note else "")
            proofs = ", ".join(map(_link, evidence[table.rfc, section.number]))
            yield f"| {_number(table, section)} | {_cell(section.title)} | {_cell(offered)} | {proofs} |"
        yield ""


def _number(table: Table, section: Section) -> str:
    kind = "appendix" if section.number[0].isalpha() else "section"
    return f"[{section.number}](https://www.rfc-editor.org/rfc/rfc{table.rfc}.html#{kind}-{section.number})"


def _link(proof: Shown) -> str:
    return f"[{proof.text}]({os.path.relpath(proof.path, os.path.dirname(PAGE))})"


def _cell(text: str) -> str:
    """`text` in a table's cell, where a bar ends it and what looks like an element is markup."""
    return text.replace("|", r"\|").replace("<", r"\<")
