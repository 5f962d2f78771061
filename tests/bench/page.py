"""Fills the marked blocks of a Markdown page: what stands between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`."""

from __future__ import annotations

import re
from collections.abc import Mapping


def filled(page: str, blocks: Mapping[str, str]) -> str:
    """The page with each block's text in place of what stood there.

    Raises:
        ValueError: the page has no such block.
    """
    for name, text in blocks.items():
        begin, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        page, count = pattern.subn(lambda _, whole=f"{begin}\n{text}\n{end}": whole, page)  # type: ignore[misc]
        if count == 0:
            raise ValueError(f"the page has no block {begin} … {end}")
    return page
