"""`nms model doc`: a site of HTML pages about YANG modules, to be read from disk or put on any web server."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from nms.commands import output


def add(topics: Any) -> None:
    """Add the sub-command."""
    parser = topics.add_parser("doc", help="a browsable site", description="Write HTML pages about YANG modules.")
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="a YANG file or folder; none: our own")
    parser.add_argument("--path", action="append", type=Path, default=[], metavar="DIR", help="a folder of imports")
    parser.add_argument("--out", type=Path, default=Path("model-doc"), metavar="DIR", help="where to (model-doc)")
    parser.add_argument("--title", default="YANG modules", help="what the site is called")
    parser.set_defaults(run=_doc)


def _doc(args: argparse.Namespace) -> int:
    from nms.config import YANG_DIR
    from tools.site.write import write

    pages = write(args.paths or [YANG_DIR], args.out, args.path, title=args.title)
    output.say(f"{args.out / 'index.html'}: {len(pages)} modules")
    return 0
