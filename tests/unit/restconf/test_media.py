"""Content negotiation."""

from __future__ import annotations

import pytest

from nms.errors import RpcError
from restconf import media

JSON, XML = "application/yang-data+json", "application/yang-data+xml"


@pytest.mark.parametrize(
    ("accept", "encoding"),
    [
        (None, "json"),
        ("", "json"),
        ("*/*", "json"),
        (JSON, "json"),
        (XML, "xml"),
        ("application/*", "json"),
        ("text/*", "xml"),
        (f"{JSON};q=0.5, {XML}", "xml"),
        (f"{JSON};q=0.5, {XML};q=0.4", "json"),
        (f"{XML}, {JSON}", "json"),
        (f"text/html, {XML};q=0.1", "xml"),
        (f"*/*, {JSON};q=0", "xml"),
        (f"*/*;q=0.1, {XML}", "xml"),
        ("application/xml", "xml"),
        ("Application/YANG-Data+XML ; charset=utf-8", "xml"),
    ],
)
def test_accepted(accept: str | None, encoding: str) -> None:
    assert media.accepted(accept) == encoding


@pytest.mark.parametrize("accept", ["text/html", f"{JSON};q=0", "application/yang-patch+json", f"{XML};q=x"])
def test_not_acceptable(accept: str) -> None:
    with pytest.raises(RpcError) as caught:
        media.accepted(accept)
    assert caught.value.status == 406


def test_sent() -> None:
    assert media.sent(JSON) == "json"
    assert media.sent(f"{XML}; charset=utf-8") == "xml"
    for wrong in (None, "", "text/plain", "application/yang-patch+json", "application/x-www-form-urlencoded"):
        with pytest.raises(RpcError) as caught:
            media.sent(wrong)
        assert caught.value.status == 415
