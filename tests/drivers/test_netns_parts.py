"""The pure parts of the isolating drivers, and how they are chosen."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from nms.drivers import api, auto
from nms.drivers.api import ConfigError, Resources, RpcError, TrafficRule
from nms.drivers.netns import NetnsDataplane, NetnsVim, missing
from nms.drivers.netns.layout import Layout
from nms.drivers.netns.limits import Limits, settings
from nms.drivers.netns.rules import matches, ruleset
from nms.drivers.vim_process import ProcessVim
from tests.drivers.netns_site import rule


@pytest.mark.parametrize(
    ("wanted", "tag"),
    [
        (rule("r", 1, "duplicate-decapsulated"), "operation-not-supported"),
        (rule("r", 1, "forward-decapsulated"), "invalid-value"),
        (rule("r", 1, "forward-decapsulated", destination_address="2001:db8::1"), "operation-not-supported"),
        (rule("r", 1, "drop", destination_interface="n6"), "operation-not-supported"),
        (
            rule("r", 1, "forward-decapsulated", destination_address="10.0.0.1", filter_type="per-packet"),
            "operation-not-supported",
        ),
        (rule("r", 1, "drop", filter={"source-address": ["2001:db8::/32"]}), "operation-not-supported"),
        (rule("r", 1, "drop", filter={"source-address": ["0.0.0.0/0; accept"]}), "invalid-value"),
        (rule("r", 1, "drop", filter={"protocol": "mec-types:http"}), "operation-not-supported"),
    ],
)
def test_a_rule_that_the_data_plane_cannot_follow_is_refused(wanted: TrafficRule, tag: str) -> None:
    with pytest.raises(RpcError) as refused:
        ruleset([wanted])
    assert refused.value.tag == tag


def test_a_filter_is_one_expression() -> None:
    assert matches({}) == ""
    assert matches({"source-port": [1, 2], "dscp": 46}) == (
        "meta l4proto { tcp, udp, sctp } th sport { 1, 2 } ip dscp 46"
    )
    assert matches({"destination-address": ["10.0.0.7/8"], "protocol": "udp"}) == (
        "ip daddr { 10.0.0.0/8 } meta l4proto udp"
    )


def test_limits_say_what_was_asked() -> None:
    for version in (1, 2):
        wanted = settings(version, Resources(1500, 64, 5), 9)
        assert wanted["pids"] == {"pids.max": "9"}
        assert str(64 << 20) in wanted["memory"].values()
        assert "150000" in " ".join(wanted["cpu"].values()).split()
        assert settings(version, Resources(), 9) == {"cpu": {}, "memory": {}, "pids": {"pids.max": "9"}}
    assert settings(2, Resources(1), 9)["cpu"] == {"cpu.max": "1000 100000"}


def test_limits_of_version_2_are_written_below_one_group(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    found = Limits(tmp_path)
    assert (found.version, found.missing) == (2, "")
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    found.create("a", Resources(500, 64), 9)
    group = tmp_path / "mec-nms/a"
    assert {file.name: file.read_text() for file in group.iterdir()} == {
        "cpu.max": "50000 100000", "memory.max": str(64 << 20), "pids.max": "9"
    }  # fmt: skip
    assert found.entrances("a") == [str(group / "cgroup.procs")]
    # Swap is kept from an instance where the kernel counts it.
    (tmp_path / "mec-nms/b").mkdir()
    (tmp_path / "mec-nms/b/memory.swap.max").write_text("max")
    found.create("b", Resources(500, 64), 9)
    assert (tmp_path / "mec-nms/b/memory.swap.max").read_text() == "0"


@pytest.mark.parametrize("version", [1, 2])
def test_what_is_to_end_makes_no_processes_and_has_its_time(tmp_path: Path, version: int) -> None:
    if version == 2:
        (tmp_path / "cgroup.controllers").write_text("cpu memory pids")
    else:
        for name in ("cpu", "memory", "pids"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "cgroup.procs").touch()
    found = Limits(tmp_path)
    assert found.version == version
    found.hasten("gone")
    found.create("a", Resources(20, 64), 9)
    found.hasten("a")
    cpu, pids = ("mec-nms/a/cpu.max",) * 2 if version == 2 else ("cpu/mec-nms/a/cpu.cfs_quota_us", "pids/mec-nms/a/_")
    assert (tmp_path / cpu).read_text() == {1: "-1", 2: "max"}[version]
    assert (tmp_path / pids).with_name("pids.max").read_text() == "0"
    # Another start means what it says.
    found.create("a", Resources(20, 64), 9)
    assert (tmp_path / cpu).read_text().split()[0] == "2000"
    assert (tmp_path / pids).with_name("pids.max").read_text() == "9"


def test_without_cgroups_it_is_said_why(tmp_path: Path) -> None:
    found = Limits(tmp_path)
    assert (found.version, found.entrances("a")) == (0, [])
    assert found.missing.startswith("there is no cgroup controller for cpu, memory, pids")
    (tmp_path / "cgroup.controllers").write_text("cpu pids\n")
    assert Limits(tmp_path).missing == f"there is no cgroup controller for memory below {tmp_path}"


def test_of_a_group_that_has_processes_itself_it_is_said_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids")

    def refused(*_: object) -> int:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    monkeypatch.setattr(Path, "write_text", refused)
    found = Limits(tmp_path)
    assert (found.version, found.path("a")) == (0, "")
    assert found.missing.startswith(f"cgroups cannot be made below {tmp_path}: Device or resource busy (")
    assert "move them to one below it" in found.missing
    assert not (tmp_path / "mec-nms").exists()


def test_addresses_and_slices_run_out() -> None:
    layout = Layout("vim netns", {"addresses": "10.5.0.0/22"})
    taken: dict[str, str] = {}
    for each in ("a", "b", "c"):
        taken[layout.place(each, taken, 0)] = each
    assert list(taken) == ["10.5.1.2", "10.5.2.2", "10.5.3.2"]
    with pytest.raises(RpcError, match="every slice of"):
        layout.place("d", taken, 0)
    del taken["10.5.2.2"]
    assert layout.place("d", taken, 5) == "10.5.2.7"
    taken |= {f"10.5.1.{number}": "a" for number in range(2, 255)}
    with pytest.raises(RpcError, match="every address of slice a is taken"):
        layout.place("a", taken, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"addresses": "8.8.0.0/16"},
        {"addresses": "127.0.0.0/8"},
        {"addresses": "10.0.0.0/24"},
        {"addresses": "10.0.0.1/16"},
        {"bandwidth": -1},
        {"processes": 0},
        {"reachable": ["10.81.1.2:80"]},
        {"reachable": ["10.81.0.2"]},
        {"reachable": ["platform:80"]},
        {"bridge": "br0"},
    ],
)
def test_a_wrong_configuration_is_one_clear_line(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^driver vim netns: [^\n]+$"):
        NetnsVim(wrong, tmp_path)


def test_a_gateway_elsewhere_is_refused(tmp_path: Path) -> None:
    for gateway in ("10.81.1.1", "192.0.2.1", "here"):
        with pytest.raises(ConfigError, match=r"^driver dataplane netns: 'gateway' is (not on|no)"):
            NetnsDataplane({"gateway": gateway}, tmp_path)


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert missing() == "ip is not installed (Debian package iproute2)"
    with pytest.raises(
        ConfigError, match=r"driver vim netns: ip is not installed .*; name = .auto. takes the embedded"
    ):
        asyncio.run(NetnsVim({}, tmp_path).open(print))


@pytest.mark.parametrize(("lacking", "chosen"), [("", NetnsVim), ("it needs root", ProcessVim)])
def test_auto_takes_the_best_that_is_available_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture, lacking: str, chosen: type
) -> None:
    points = EntryPoints(
        EntryPoint(name, value, f"mec_nms.drivers.{group}")
        for group, name, value in [
            ("vim", "embedded", "nms.drivers.vim_process:ProcessVim"),
            ("vim", "netns", "nms.drivers.netns:NetnsVim"),
            ("available", "netns", "nms.drivers.netns:missing"),
        ]
    )
    monkeypatch.setattr(api, "entry_points", lambda group: points.select(group=group))
    monkeypatch.setattr("nms.drivers.netns.missing", lambda: lacking)
    config = {"start-timeout": 3, "embedded": {"addresses": "127.90.0.0/24"}, "netns": {"bandwidth": 10}}
    with caplog.at_level(logging.INFO):
        assert type(auto.vim(config, tmp_path)) is chosen
    assert ("isolates nothing, since for netns it needs root" in caplog.text) is bool(lacking)
    assert f"the driver {'embedded' if lacking else 'netns'} is used" in caplog.text
