"""docs/failures.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_every_test_that_the_page_names_exists() -> None:
    page = (TESTS.parent / "docs" / "failures.md").read_text()
    named, file = 0, ""
    for quoted in re.findall(r"`((?:crash/|drivers/)?(?:test_\w+)?(?:::test_\w+)?)`", page):
        module, _, test = quoted.partition("::")
        file = module or file
        where = TESTS / f"{file}.py" if "/" in file else TESTS / "federation" / f"{file}.py"
        assert where.is_file(), quoted
        assert not test or f"def {test}(" in where.read_text(), quoted
        named += bool(quoted)
    assert named > 40
