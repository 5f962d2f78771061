"""Writes the site: a page for each module, an index, the reference points, and what the search reads.

The templates (`*.html` here) are Jinja's; the pages work from a folder on disk as from a server, in light and dark.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import jinja2
import orjson

from nms.errors import ConfigError
from tools.model.parsed import files_of
from tools.site import reference_points
from tools.site.pages import Page, pages_of

_HERE: Final = Path(__file__).parent
_COPIED: Final = ("style.css", "search.js")
_NAMES: Final = {
    "typedef": "Types",
    "identity": "Identities in words",
    "feature": "Features",
    "extension": "Extensions",
}


def write(paths: Sequence[Path], out: Path, path: Sequence[Path] = (), *, title: str = "YANG modules") -> list[Page]:
    """Write the site of the modules that `paths` name into the folder `out`, and say what pages it has.

    Args:
        path: more folders where imports are looked for.
        title: what the site is called.

    Raises:
        ConfigError: a module is not valid, or `out` cannot be written.
    """
    pages = pages_of(files_of(paths), path)
    files = {name: text.encode() for name, text in _rendered(pages, title).items()}
    files["index.js"] = _search_index(pages)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in _COPIED:
            shutil.copyfile(_HERE / name, out / name)
        for name, content in files.items():
            (out / name).write_bytes(content)
    except OSError as error:
        raise ConfigError(f"{error.filename or out}: {error.strerror}") from None
    return pages


def _rendered(pages: Sequence[Page], title: str) -> dict[str, str]:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    modules = [page.name for page in pages]
    options = reference_points.options(modules)
    module = environment.get_template("module.html")
    files = {
        page.file: module.render(
            site=title, title=page.name, page=page, names=_NAMES,
            crossings=reference_points.crossings(page.name) if options else (),
        )
        for page in pages
    }  # fmt: skip
    files["index.html"] = environment.get_template("index.html").render(
        site=title, title=title, pages=pages, options=options
    )
    if options:
        points, rows = reference_points.matrix(modules)
        files["reference-points.html"] = environment.get_template("reference-points.html").render(
            site=title, title="Reference points", points=points, rows=rows, options=options, modules=modules
        )
    return files


def _search_index(pages: Sequence[Page]) -> bytes:
    """[name, kind, number of the page, anchor] of each definition, as JavaScript that a page may load from disk."""
    entries = [
        (found.name, found.kind, number, found.anchor)
        for number, page in enumerate(pages)
        for found in (*page.definitions, *(each for listed in page.listed.values() for each in listed))
    ]
    files = [page.file for page in pages]
    return b"const PAGES = " + orjson.dumps(files) + b";\nconst INDEX = " + orjson.dumps(entries) + b";\n"
