"""Application packages by their SHA-256, beside RESTCONF's own resources: GET with ranges (RFC 9110 section 14), PUT.

Who may read or write which package is decided behind `nms.operations.files.Files`.
"""

from __future__ import annotations

from typing import BinaryIO, cast

from flask import Blueprint, Response, request, send_file

from nms.operations.files import Files
from restconf.wsgi import PRINCIPAL


def blueprint(files: Files) -> Blueprint:
    """The resources below ``/packages``."""
    pages = Blueprint("packages", __name__)

    @pages.get("/packages/<digest>")
    def read(digest: str) -> Response:
        path = files.read(request.environ[PRINCIPAL], digest)
        return send_file(path, mimetype="application/zip", conditional=True, etag=digest, max_age=None)

    @pages.put("/packages/<digest>")
    def write(digest: str) -> Response:
        files.write(request.environ[PRINCIPAL], digest, cast(BinaryIO, request.stream))
        return Response(status=204)

    return pages
