"""The driver for dynamic updates at real servers: other people's records, failures, restarts, and the key's secret."""

from __future__ import annotations

import asyncio
import json
import logging
import tomllib
from collections.abc import Awaitable, Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dns.query
import dns.tsig
import dns.update
import pytest

from nms.drivers.api import ConfigError, DnsRecord, RpcError
from nms.drivers.dns_update import UpdateDns
from tests.drivers.name_servers import KEY, OTHER_KEY, OTHER_SECRET, SECRET, ZONE, NameServer, key_file, running

Story = Callable[[UpdateDns], Awaitable[None]]
ANYWHERE: dict[str, Any] = {"server": "127.0.0.1", "port": 1, "zones": [ZONE], "key-name": KEY}


@pytest.fixture(params=["bind", "knot"])
def server(request: pytest.FixtureRequest, tmp_path: Path, need: Callable[[str, str], str]) -> Iterator[NameServer]:
    with running(request.param, tmp_path / "server", need) as started:
        yield started


def run(server: NameServer, folder: Path, story: Story, **config: Any) -> None:
    async def whole() -> None:
        driver = UpdateDns({**server.config, **config}, folder)
        await driver.open()
        try:
            await story(driver)
        finally:
            await driver.close()

    asyncio.run(whole())


def test_the_records_of_others_stay(server: NameServer, tmp_path: Path) -> None:
    async def story(driver: UpdateDns) -> None:
        assert driver.listening() == ("127.0.0.1", server.port)
        await driver.publish(f"shared.{ZONE}", "A", "10.0.0.1", 20)
        assert [address for address, _ in server.ask("shared")] == ["10.0.0.1", "192.0.2.1"]
        await driver.withdraw(f"shared.{ZONE}", "A", "192.0.2.1")
        assert await driver.records() == [DnsRecord(f"shared.{ZONE}.", "A", "10.0.0.1", 20)]
        await driver.withdraw(f"shared.{ZONE}")
        assert [address for address, _ in server.ask("shared")] == ["192.0.2.1"]

    run(server, tmp_path, story)


def test_what_is_published_outlives_the_daemon_and_is_still_ours(server: NameServer, tmp_path: Path) -> None:
    name = f"app.{ZONE}"

    async def publish(driver: UpdateDns) -> None:
        await driver.publish(name, "A", "10.0.0.1", 20)
        await driver.publish(name, "A", "10.0.0.2", 20)

    run(server, tmp_path, publish)
    assert len(server.ask("app")) == 2
    # An operator takes one away: what the server does not give out is not shown as published.
    by_hand = dns.update.UpdateMessage(ZONE)
    by_hand.use_tsig(dns.tsig.Key(KEY, SECRET))
    by_hand.delete("app", "A", "10.0.0.1")
    assert dns.query.tcp(by_hand, "127.0.0.1", 5, server.port).rcode() == 0

    async def withdraw(driver: UpdateDns) -> None:
        assert await driver.records() == [DnsRecord(f"{name}.", "A", "10.0.0.2", 20)]
        await driver.withdraw(name)
        assert await driver.records() == []

    run(server, tmp_path, withdraw)
    assert server.ask("app") == []


def test_a_server_that_hangs_or_is_gone_is_a_temporary_failure(server: NameServer, tmp_path: Path) -> None:
    name = f"app.{ZONE}"

    async def story(driver: UpdateDns) -> None:
        await driver.publish(name, "A", "10.0.0.1", 20)
        server.pause()
        for attempt in (driver.publish(name, "A", "10.0.0.2", 20), driver.withdraw(name), driver.records()):
            with pytest.raises(RpcError, match="does not answer in time") as failed:
                await attempt
            assert (failed.value.tag, failed.value.app_tag) == ("operation-failed", "temporary")
        server.resume()
        # Whichever of them was carried out after all: asked again, it is so.
        await driver.publish(name, "A", "10.0.0.2", 20)
        assert ("10.0.0.2", 20) in server.ask("app")
        await driver.withdraw(name)
        assert server.ask("app") == []
        server.end()
        with pytest.raises(RpcError, match="is not reached") as failed:
            await driver.publish(name, "A", "10.0.0.2", 20)
        assert failed.value.app_tag == "temporary"

    run(server, tmp_path, story, timeout=0.3)


def test_a_withdrawal_that_failed_is_made_up_for(server: NameServer, tmp_path: Path) -> None:
    async def fail(driver: UpdateDns) -> None:
        await driver.publish(f"app.{ZONE}", "A", "10.0.0.1", 20)
        driver._server = "127.0.0.1", 1  # as if it were not reached
        with pytest.raises(RpcError):
            await driver.withdraw(f"app.{ZONE}")

    async def again(driver: UpdateDns) -> None:
        assert len(await driver.records()) == 1
        await driver.withdraw(f"app.{ZONE}")

    run(server, tmp_path, fail)
    run(server, tmp_path, again)
    assert server.ask("app") == []


def test_a_server_out_of_reach_does_not_keep_the_driver_from_starting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = {**ANYWHERE, "key-file": str(key_file(tmp_path / "key"))}
    with caplog.at_level(logging.WARNING):
        asyncio.run(UpdateDns(config, tmp_path).open())
    assert "DNS server 127.0.0.1 port 1 is not reached" in caplog.text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"key-name": "nobody"}, "does not know key nobody "),
        ({"key-algorithm": "hmac-sha512"}, f"does not know key {KEY} "),
        ({"key-file": "wrong"}, f"has another secret for key {KEY}"),
        ({"zones": [ZONE, "elsewhere.example"]}, "zone elsewhere.example"),
    ],
)
def test_a_wrong_key_or_zone_is_one_clear_line(
    server: NameServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, change: dict[str, Any], says: str
) -> None:
    if "key-file" in change:
        change = {"key-file": str(key_file(tmp_path / "wrong", OTHER_SECRET))}

    async def story(driver: UpdateDns) -> None:
        raise AssertionError("must not open")

    with pytest.raises(ConfigError, match=rf"^driver dns rfc2136: [^\n]*{says}[^\n]*$"), caplog.at_level(0):
        run(server, tmp_path, story, **change)
    assert OTHER_SECRET not in caplog.text
    assert SECRET not in caplog.text


def test_a_key_without_the_right_to_update_publishes_nothing(tmp_path: Path, need: Callable[[str, str], str]) -> None:
    stranger = {"key-name": OTHER_KEY, "key-file": str(key_file(tmp_path / "stranger", OTHER_SECRET))}

    async def story(driver: UpdateDns) -> None:
        with pytest.raises(RpcError, match=f"not granted to key {OTHER_KEY}") as refused:
            await driver.publish(f"app.{ZONE}", "A", "10.0.0.1", 20)
        assert (refused.value.tag, refused.value.app_tag) == ("access-denied", "")
        assert await driver.records() == []

    with running("bind", tmp_path / "server", need) as server:
        run(server, tmp_path, story, **stranger)
        assert server.ask("app") == []
    assert json.loads((tmp_path / "published.json").read_text()) == []


def test_times_to_live_have_bounds(server: NameServer, tmp_path: Path) -> None:
    async def story(driver: UpdateDns) -> None:
        for ttl in (4, 61):
            with pytest.raises(RpcError, match=f"TTL {ttl} of app.{ZONE} is not between 5 and 60 seconds"):
                await driver.publish(f"app.{ZONE}", "A", "10.0.0.1", ttl)
        await driver.publish(f"app.{ZONE}", "A", "10.0.0.1", 5)
        assert server.ask("app") == [("10.0.0.1", 5)]

    run(server, tmp_path, story, **{"ttl-min": 5, "ttl-max": 60})


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    config = {**ANYWHERE, "key-file": str(key_file(tmp_path / "key", mode=0o640))}
    with pytest.raises(ConfigError, match=r"key-file .* can be read by others; run chmod 600") as refused:
        UpdateDns(config, tmp_path)
    assert SECRET not in str(refused.value)


def test_a_key_file_of_tsig_keygen_is_understood(server: NameServer, tmp_path: Path) -> None:
    written = f'key "{KEY}" {{\n\talgorithm hmac-sha256;\n\tsecret "{SECRET}";\n}};\n'

    async def story(driver: UpdateDns) -> None:
        await driver.publish(f"app.{ZONE}", "A", "10.0.0.1", 20)

    run(server, tmp_path, story, **{"key-file": str(key_file(tmp_path / "generated", written))})
    assert server.ask("app") == [("10.0.0.1", 20)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"server": "localhost"},
        {"port": 0},
        {"zones": []},
        {"zones": ["a..b"]},
        {"timeout": 0},
        {"ttl-min": 60, "ttl-max": 5},
        {"ttl-max": 2**31},
        {"key-algorithm": "md4"},
        {"key-name": "a..b"},
        {"key-file": "no/such/file"},
        {"key": SECRET},
    ],
)
def test_a_wrong_configuration_is_one_clear_line(tmp_path: Path, wrong: dict[str, Any]) -> None:
    config = {**ANYWHERE, "key-file": str(key_file(tmp_path / "key")), **wrong}
    with pytest.raises(ConfigError, match=r"^driver dns rfc2136: [^\n]+$") as refused:
        UpdateDns(config, tmp_path)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("secret", ["", "no base64!", "ä"])
def test_a_key_file_without_a_secret_is_refused_without_showing_it(tmp_path: Path, secret: str) -> None:
    with pytest.raises(ConfigError, match=r"key-file \S+ holds no secret in base64$"):
        UpdateDns({**ANYWHERE, "key-file": str(key_file(tmp_path / "key", secret))}, tmp_path)


def test_a_damaged_memory_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "published.json").write_text('[{"name": 1}]')
    driver = UpdateDns({**ANYWHERE, "key-file": str(key_file(tmp_path / "key"))}, tmp_path)
    with pytest.raises(ConfigError, match=r"published\.json is damaged"):
        asyncio.run(driver.open())


#: Drivers, and packages that they drive with, of an extra of the same name.
EXTRAS = ("openstack",)


def test_every_driver_of_the_project_can_be_had_by_its_entry_point() -> None:
    points = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["entry-points"]
    for group in ("vim", "dns", "dataplane"):
        for name, value in points[f"mec_nms.drivers.{group}"].items():
            module, _, attribute = value.partition(":")
            if name in EXTRAS and find_spec(name) is None:
                with pytest.raises(ImportError, match=rf"install mec-nms\[{name}\]"):
                    import_module(module)
            else:
                assert callable(getattr(import_module(module), attribute)), name
