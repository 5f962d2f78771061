"""docs/conformance.md is what the tables and the cases say, and what they say is held to account."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.conformance.__main__ import main
from tools.conformance.evidence import cases, collect
from tools.conformance.page import render
from tools.conformance.table import Section, Table, order, read


def test_the_page_is_not_stale(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().err


def project(folder: Path) -> Path:
    """A project with two cases and a test."""
    netconf = folder / "tests" / "conformance" / "netconf"
    netconf.mkdir(parents=True)
    (netconf / "6241-7.2.1-create.rpc.xml").touch()
    (folder / "tests" / "conformance" / "restconf" / "cases" / "8040-4.8-fields").mkdir(parents=True)
    (folder / "tests" / "test_it.py").write_text("def test_one(): ...\nclass A:\n    async def test_two(self): ...\n")
    return folder


def table(rfc: str, *sections: Section) -> Table:
    return Table(rfc, "Title", sections)


def test_a_case_belongs_to_the_nearest_section_above(tmp_path: Path) -> None:
    root = project(tmp_path)
    tables = [table("6241", Section("7.2", "<edit-config>")), table("8040", Section("4.8", "Query", "yes"))]
    evidence, problems = collect(tables, root)
    assert problems == []
    assert [proof.text for proof in evidence["6241", "7.2"]] == ["create"]
    page = render(tables, evidence)
    assert (
        r"| [7.2](https://www.rfc-editor.org/rfc/rfc6241.html#section-7.2) | \<edit-config> | yes "
        "| [create](../tests/conformance/netconf/6241-7.2.1-create.rpc.xml) |"
    ) in page


def test_a_case_without_its_section_is_told(tmp_path: Path) -> None:
    _, problems = collect([table("8040", Section("4.8", "Query"))], project(tmp_path))
    assert problems == ["case 6241-7.2.1-create: 6241.toml has no section 7.2.1 nor one above it"]


def test_what_nothing_shows_is_told_unless_it_is_not_offered(tmp_path: Path) -> None:
    tables = [
        table("6241", Section("7", "Operations"), Section("8", "Capabilities", "partly", "some")),
        table("8040", Section("4", "Methods"), Section("9", "Other", "no", "nobody asks")),
    ]
    _, problems = collect(tables, project(tmp_path))
    assert problems == ["RFC 6241 section 8: no case or test shows it"]


def test_references_lead_to_tests_and_cases(tmp_path: Path) -> None:
    root = project(tmp_path)
    good = ("tests/test_it.py::test_one", "tests/test_it.py::A::test_two", "8040-4.8-fields")
    bad = ("tests/test_it.py::test_three", "tests/gone.py::test_one", "8040-4.8-field")
    _, problems = collect(
        [table("6241", Section("7", "Operations", shown=good + bad)), table("8040", Section("4.8", "Query"))], root
    )
    assert problems == [f"RFC 6241 section 7: there is no {reference}" for reference in bad]


def test_a_case_names_its_section(tmp_path: Path) -> None:
    (project(tmp_path) / "tests" / "conformance" / "netconf" / "create.rpc.xml").touch()
    with pytest.raises(ValueError, match="RFC-SECTION-words"):
        list(cases(tmp_path))


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ('"1" = { title = "A", offered = "perhaps" }', "offered is one of yes, partly, no"),
        ('"1" = { title = "A", offered = "no" }', "a note says why"),
        ('"1" = { title = "A", colour = "red" }', "colour"),
        ('"one" = { title = "A" }', "no number of a section"),
        ("", "`title` and `sections`"),
    ],
)
def test_a_table_has_its_form(tmp_path: Path, row: str, complaint: str) -> None:
    file = tmp_path / "6241.toml"
    file.write_text(f'title = "T"\n[sections]\n{row}\n' if row else 'title = "T"\n')
    with pytest.raises(ValueError, match=complaint):
        read(file)


def test_sections_are_in_their_order() -> None:
    assert sorted(["10", "A.1", "7.10", "7.2", "7", "B"], key=order) == ["7", "7.2", "7.10", "10", "A.1", "B"]
