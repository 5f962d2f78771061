"""A run at 20 entries from end to end: every figure is there, the picture is XML, the page is filled.

No time is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from lxml import etree

from tests.bench import page, plot, results
from tests.bench.__main__ import main
from tests.bench.channel import Lost, Request
from tests.bench.inventory import app_json, app_xml
from tests.bench.measures import MEASURES, ROWS
from tests.bench.meter import Figure
from tests.bench.netconf import Session, edit
from tests.bench.results import OURS, OURS_UNSYNCED
from tests.bench.server import Server

SVG = "{http://www.w3.org/2000/svg}"
PAGE = "before\n<!-- bench:about -->\nold\n<!-- /bench:about -->\n<!-- bench:tables --><!-- /bench:tables -->\nafter\n"


@pytest.fixture
def peer(tmp_path: Path, need: Callable[[str, str], str]) -> Iterator[tuple[Server, Path]]:
    """A server that runs already, and the folder of its keys."""
    need("ssh", "openssh-client")
    folder = tmp_path / "peer"
    folder.mkdir()
    server = Server(folder)
    try:
        server.start()
        yield server, folder
    finally:
        server.stop()


@pytest.mark.timeout(300)  # it starts four daemons and some dozens of ssh
def test_a_run_has_every_figure(peer: tuple[Server, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server, folder = peer
    login = server.subject().login
    written = tmp_path / "performance.md"
    written.write_text(PAGE)
    command = f"--sizes 20 --runs 3 --seconds 0.05 --out {tmp_path / 'out'} --write {written}"
    command += f" --peer {login.host}:{login.port} --peer-name other --peer-user {login.user} --peer-key {folder}/id"
    assert main(command.split()) == 0
    out, err = capsys.readouterr()

    found = results.read(tmp_path / "out" / "figures.json")
    every = {row for rows in ROWS.values() for row in rows}
    assert set(found.figures[OURS][20]) == every
    assert set(found.figures[OURS_UNSYNCED][20]) == {measure.name for measure in MEASURES if measure.writes}
    assert set(found.figures["other"][20]) == {
        row.name for row in MEASURES if row.needs not in ("tls", "restconf") and not row.name.startswith("memory")
    }
    for server_name, by_size in found.figures.items():
        for row, figure in by_size[20].items():
            assert figure.value > 0, row
            assert f"{server_name} at 20: {row}: " in err
    assert found.figures[OURS][20]["edit one"].cpu_ms

    for row in every:
        assert f"| {row} " in out
    before, _, after = written.read_text().partition("| edit one ")
    assert before.startswith("before\n<!-- bench:about -->\n- date: ")
    assert "old" not in before
    assert after.endswith("<!-- /bench:tables -->\nafter\n")
    for file in (tmp_path / "out" / "latency.svg", tmp_path / "performance.svg"):
        names = [text.text for text in etree.parse(file).getroot().iter(f"{SVG}text")]
        assert {"mec-nms", "other", "edit one", "PATCH one, RESTCONF"} <= set(names)


def test_what_was_measured_can_be_shown_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = results.Results({"machine": "small"})
    kept.add(OURS, 100, {"edit one": Figure(0.5, "ms", 0.25, 9)})
    kept.add(OURS, 1_000_000, {"edit one": Figure(0.6, "ms", 0.3, 9)})
    kept.save(tmp_path / "figures.json")
    assert main(["--read", str(tmp_path / "figures.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [" ".join(line.split()) for line in lines if "edit one" in line] == [
        "| edit one | mec-nms | 0.500 ms (0.250 ms) | 0.600 ms (0.300 ms) | × 1.20 (× 1.20) |"
    ]


def test_a_refusal_is_no_figure(peer: tuple[Server, Path]) -> None:
    server, _ = peer
    session = server.subject().over_ssh()
    try:
        wrong = edit("running", [1], 1)  # its zone does not exist
        with pytest.raises(Lost, match="refused"):
            session.check(wrong, session.call(wrong))
    finally:
        session.close()


def test_two_generations_of_an_entry_differ() -> None:
    assert app_xml(7, 1) != app_xml(7, 2)
    assert app_json(7, 1) != app_json(7, 2)


def test_a_page_without_the_block_is_left_alone() -> None:
    with pytest.raises(ValueError, match="no block"):
        page.filled(PAGE, {"nothing": ""})


def test_names_in_the_picture_keep_their_distance() -> None:
    places = plot.spread([10, 11, 12, 99, 100], least=14, low=0, high=100)
    in_order = sorted(places)
    assert places == in_order
    assert all(b - a >= 14 for a, b in pairwise(in_order))
    assert in_order[0] >= 0
    assert in_order[-1] <= 100


def test_names_are_escaped() -> None:
    picture = plot.svg([plot.Panel("a < b & c", {"x > y": [(100, 1.0)]})])
    assert next(etree.fromstring(picture).iter(f"{SVG}text")).text == "a < b & c"


def test_a_reply_is_checked_across_chunks() -> None:
    """A chunk may end in the middle of what is looked for."""

    class Said:
        def write(self, data: bytes) -> None: ...

        def read(self) -> bytes:
            return b"<hello>urn:ietf:params:netconf:base:1.1 urn:ietf:params:netconf:capability:xpath:1.0</hello>]]>]]>"

    session = Session(Said())  # type: ignore[arg-type]
    assert session.capabilities == {"xpath"}
    session.check(Request(b"", b"app-0000012"), b"\n#12\n<name>app-00\n#16\n00012</name></a>\n##\n")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("--read {0}/none", "No such file"),
        ("--read {0}/other", "not figures of make bench"),
        ("--sizes 20 --write {0}/other", "no block"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, said: str) -> None:
    (tmp_path / "other").write_text("[]")
    assert main([*command.format(tmp_path).split(), "--out", str(tmp_path)]) == 1
    assert said in capsys.readouterr().err
    assert (tmp_path / "other").read_text() == "[]"
