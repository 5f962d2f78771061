"""The command line against a real domain in a process of its own: what it prints, what it changes, how it refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nms import init
from nms.mec import package
from nms.pki import ssh_key_pair
from tests.ports import free_port

SAMPLE = Path(package.__file__).parent / "sample" / "hello-edge"
NMS = [sys.executable, "-m", "nms.cli"]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Configuration of a running domain."""
    folder = tmp_path_factory.mktemp("cli") / "domain"
    ports = init.Ports(ssh=free_port(), tls=free_port(), restconf=free_port(), dns=free_port())
    file = init.init(folder, now=datetime.now(UTC), domain_id="alone", ports=ports, address_block="127.90.0.0/16")[-1]
    with subprocess.Popen([*NMS, "serve", "--config", str(file)], stdout=subprocess.PIPE) as daemon:
        try:
            assert daemon.stdout is not None
            assert b"alone listens: NETCONF over SSH on" in daemon.stdout.readline()
            yield file
        finally:
            daemon.terminate()
            assert daemon.wait(20) == 0


@pytest.fixture(scope="module")
def nms(domain: Path) -> Run:
    def run(*arguments: str, input: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [*NMS, *arguments, "--config", str(domain)]
        return subprocess.run(command, capture_output=True, text=True, timeout=50, input=input, check=False)

    return run


@pytest.fixture(scope="module")
def onboarded(nms: Run, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An on-boarded package."""
    file = tmp_path_factory.mktemp("packages") / "hello.csar"
    package.build(SAMPLE, file)
    done = nms("package", "onboard", str(file), "--id", "hello", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"]["onboarding-state"] == "mec-types:onboarded"
    return "hello"


def test_get_shows_an_outline_and_json(nms: Run) -> None:
    outline = nms("get", "mec-federation:federation/domain")
    assert "id: alone" in outline.stdout.splitlines()[1]
    found = json.loads(nms("get", "mec-federation:federation/domain", "--json").stdout)
    assert found["mec-federation:domain"]["id"] == "alone"


def test_edit_changes_what_get_shows(nms: Run) -> None:
    text = json.dumps({"mec-federation:domain": {"name": "Out there"}})
    assert nms("edit", "mec-federation:federation/domain", "-", input=text).returncode == 0
    assert "name: Out there" in nms("get", "mec-federation:federation/domain").stdout
    assert nms("edit", "mec-federation:federation/domain/name", "--operation", "delete").returncode == 0
    assert "Out there" not in nms("get", "mec-federation:federation/domain").stdout


def test_watch_shows_a_change_as_it_happens(nms: Run, domain: Path) -> None:
    command = [*NMS, "watch", "--json", "--config", str(domain)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        end = time.monotonic() + 20
        event = {}
        while "ietf-netconf-notifications:netconf-config-change" not in event:
            assert time.monotonic() < end
            done = nms("edit", "mec-federation:federation/domain", '{"mec-federation:domain":{"name":"seen"}}')
            assert done.returncode == 0
            assert nms("edit", "mec-federation:federation/domain/name", "--operation", "delete").returncode == 0
            event = json.loads(watching.stdout.readline())["ietf-restconf:notification"]
        watching.terminate()
    target = event["ietf-netconf-notifications:netconf-config-change"]["edit"][0]["target"]
    assert target.endswith("/mec-federation:domain/mec-federation:name")


def test_an_application_is_deployed_shown_and_terminated(nms: Run, onboarded: str) -> None:
    deployed = nms("app", "deploy", onboarded, "--id", "one", "--json")
    assert deployed.returncode == 0, deployed.stderr
    assert json.loads(deployed.stdout)["state"]["state"] == "mec-types:completed"
    again = nms("app", "deploy", onboarded, "--id", "one")
    assert again.returncode == 0
    assert "completed" in nms("app", "status").stdout
    assert "hello" in nms("package", "list").stdout
    assert nms("app", "terminate", "one").returncode == 0
    assert json.loads(nms("app", "status", "--json").stdout) == []
    assert nms("get", "mec-system:system/deployment=one.app").returncode == 1


def test_an_order_that_cannot_be_met_says_why(nms: Run, onboarded: str) -> None:
    failed = nms("app", "deploy", onboarded, "--id", "far", "--zone", "mars")
    assert failed.returncode == 1
    assert "mars" in failed.stderr
    assert nms("app", "terminate", "far").returncode == 0


def test_partners_are_listed_when_there_are_none(nms: Run) -> None:
    assert "no partners: nms partner add" in nms("partner", "list").stdout
    assert json.loads(nms("partner", "list", "--json").stdout) == []


def test_the_card_holds_no_secret(domain: Path) -> None:
    done = subprocess.run(
        [*NMS, "partner", "card", "--config", str(domain)], capture_output=True, text=True, timeout=50, check=True
    )
    card = json.loads(done.stdout)
    assert card["id"] == "alone"
    assert "PRIVATE" not in done.stdout
    assert {endpoint["id"] for endpoint in card["endpoint"]} == {"ssh", "tls", "restconf", "packages"}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("get", "no-module:thing"), 1, "there is no no-module:thing"),
        (("edit", "mec-order:orders", "not json"), 2, "the data is not JSON"),
        (("edit", "mec-order:orders"), 2, "merge takes data"),
        (("edit", "mec-order:orders", "@/nowhere"), 2, "/nowhere: No such file"),
        (("edit", "mec-order:orders", "{}", "--operation", "delete"), 2, "delete takes no data"),
        (
            ("edit", "mec-order:orders", '{"mec-order:orders":{"order":[{"id":"x"}]}}'),
            1,
            "customer is mandatory at /mec-",
        ),
        (("edit", "mec-order:orders", '{"mec-order:orders":{"nothing":1}}'), 1, "unknown-element"),
        (("app", "status", "none"), 1, "there is no order none"),
        (("app", "terminate", "none"), 1, "there is no order none"),
        (("partner", "show", "none"), 1, "there is no partner none"),
        (("partner", "add", "/nowhere", "--agreement", "a", "--role", "consumer"), 2, "/nowhere: No such file"),
        (("package", "onboard", "/nowhere"), 1, "/nowhere cannot be read"),
        (("get", "--cert", "/nowhere"), 2, "name others by --cert and --key"),
    ],
)
def test_what_is_wrong_is_one_line(nms: Run, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = nms(*arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_a_daemon_that_is_not_there_is_named(tmp_path: Path) -> None:
    ports = init.Ports(restconf=free_port())
    file = init.init(tmp_path / "gone", now=datetime.now(UTC), domain_id="gone", ports=ports)[-1]
    done = subprocess.run([*NMS, "get", "--config", str(file)], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 1
    assert "is the daemon running?" in done.stderr


def test_a_file_with_the_least_keys_serves_our_own_models(tmp_path: Path) -> None:
    key = ssh_key_pair("host")
    (tmp_path / "host_key").write_bytes(key.private)
    (tmp_path / "nms.toml").write_text(
        '[domain]\nid = "least"\n[store]\npath = ":memory:"\n'
        '[netconf.ssh]\nlisten = "127.0.0.1:0"\nhost-key = "host_key"\n'
    )
    pid = tmp_path / "pid"
    command = [*NMS, "serve", "--config", str(tmp_path / "nms.toml"), "--pid-file", str(pid)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as daemon:
        try:
            assert daemon.stdout is not None
            assert b"least listens: NETCONF over SSH on 127.0.0.1:" in daemon.stdout.readline()
            assert int(pid.read_text()) == daemon.pid
        finally:
            daemon.terminate()
            assert daemon.wait(20) == 0
    assert not pid.exists()


def test_an_application_is_scaled_updated_and_ended_at_once(nms: Run, onboarded: str, tmp_path: Path) -> None:
    for name, text in (("better", None), ("worse", "raise SystemExit('no')\n")):
        source = tmp_path / name
        shutil.copytree(SAMPLE, source)
        descriptor = source / package.DESCRIPTOR
        descriptor.write_text(descriptor.read_text().replace('"software-version": "1.0"', '"software-version": "1.1"'))
        if text is not None:
            (source / "image/hello-edge/app.py").write_text(text)
        package.build(source, tmp_path / f"{name}.csar")
        done = nms("package", "onboard", str(tmp_path / f"{name}.csar"), "--id", name)
        assert done.returncode == 0, done.stderr
    assert nms("app", "deploy", onboarded, "--id", "live").returncode == 0
    scaled = nms("app", "scale", "live", "2", "--json")
    assert scaled.returncode == 0, scaled.stderr
    assert [each["software-version"] for each in json.loads(scaled.stdout)["instance"]] == ["1.0", "1.0"]
    updated = nms("app", "update", "live", "better")
    assert updated.returncode == 0, updated.stderr
    assert updated.stdout.count("version 1.1 in zone-1 at hello-edge") == 2
    failed = nms("app", "update", "live", "worse")
    assert failed.returncode == 1
    assert "order live stays as it was" in failed.stderr
    assert "2 x 1.1" in nms("app", "status", "live").stdout
    nowhere = nms("app", "relocate", "live", "zone-1")
    assert nowhere.returncode == 1
    assert "instance in the target zone" in nowhere.stderr
    assert nms("app", "scale", "live", "1", "--item", "none").returncode == 1
    assert nms("app", "terminate", "live", "--force").returncode == 0
    assert json.loads(nms("app", "status", "--json").stdout) == []
