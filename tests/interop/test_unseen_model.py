"""The clients that need nothing special, each with one whole session on a model that neither side has ever seen."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import asyncssh
import pytest
from ncclient.operations import RPCError
from ncclient.xml_ import to_ele

from nms import cli
from nms.netconf.messages import NETCONF, hello
from tests.interop.conftest import GARDEN, MODELS, PASSWORD, USER, Garden, open_manager

MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"


def config(content: str) -> str:
    return f'<config xmlns:nc="{NETCONF}"><garden xmlns="{GARDEN}">{content}</garden></config>'


def test_ncclient(garden: Garden) -> None:
    with open_manager(garden) as session:
        assert f"{GARDEN}?module=acme-garden&revision=2026-01-01" in session.server_capabilities
        assert session.get_schema("acme-garden", version="2026-01-01").data.startswith("module acme-garden {")
        session.create_subscription()
        with session.locked("candidate"):
            session.edit_config(config("<bed><name>roses</name><plant>é</plant></bed>"), target="candidate")
            session.validate("candidate")
            session.commit(confirmed=True, timeout="60")
            session.commit()
        told = session.take_notification(timeout=20).notification_ele
        assert told.xpath("//*[local-name()='target']/text()") == [
            "/acme-garden:garden/acme-garden:bed[acme-garden:name='roses']"
        ]
        with pytest.raises(RPCError) as caught:
            session.edit_config(config('<bed nc:operation="create"><name>roses</name></bed>'), target="running")
        assert (caught.value.tag, caught.value.severity) == ("data-exists", "error")
        found = session.get(
            filter=("xpath", ({"g": GARDEN}, "/g:garden/g:bed[g:name='roses']")), with_defaults="report-all"
        )
        assert found.data_ele.xpath("//g:area/text()", namespaces={"g": GARDEN}) == ["10"]
        with pytest.raises(RPCError) as caught:
            session.dispatch(to_ele(f'<water xmlns="{GARDEN}"/>'))
        assert caught.value.tag in ("missing-element", "operation-not-supported")


def test_netconf_console2(garden: Garden, tmp_path: Path) -> None:
    def console(*arguments: str) -> str:
        program = Path(sys.executable).with_name("netconf-console2")
        login = ["--host", "127.0.0.1", "--port", str(garden.ssh), "-u", USER, "-p", PASSWORD, "-N", f"g={GARDEN}"]
        environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            [program, *login, *arguments], capture_output=True, timeout=40, check=False, env=environment, text=True
        )
        return done.stdout + done.stderr

    assert "module=acme-garden" in console("--hello")
    edits = ("--lock", "--set=/g:garden/g:bed[g:name='roses']/g:area=20", "--commit", "--unlock")
    assert console("--db=candidate", *edits).count("<ok ") == 4
    assert "<area>20</area>" in console("--db=running", "--get-config", "-x", "/g:garden/g:bed")
    assert "invalid-value" in console("--db=running", "--set=/g:garden/g:bed[g:name='roses']/g:area=501")


def test_openssh(garden: Garden, tmp_path: Path, need: Callable[[str, str], str]) -> None:
    operations = (
        f"<edit-config><target><running/></target>{config('<owner>Änne</owner>')}</edit-config>",
        f'<get-config><source><running/></source><filter><garden xmlns="{GARDEN}"/></filter></get-config>',
        f"<edit-config><target><running/></target>{config('<owner>' + 'x' * 17 + '</owner>')}</edit-config>",
        f'<get-schema xmlns="{MONITORING}"><identifier>acme-garden</identifier></get-schema>',
        "<close-session/>",
    )
    data = hello(["urn:ietf:params:netconf:base:1.0"]) + b"]]>]]>"
    for number, operation in enumerate(operations):
        data += f'<rpc xmlns="{NETCONF}" message-id="{number}">{operation}</rpc>]]>]]>'.encode()
    options = (
        "BatchMode=yes",
        "StrictHostKeyChecking=no",
        f"UserKnownHostsFile={tmp_path}/known",
        "IdentitiesOnly=yes",
    )
    done = subprocess.run(
        [
            need("ssh", "openssh-client"), "-F", "none", "-i", str(garden.key), "-p", str(garden.ssh),
            *(part for option in options for part in ("-o", option)), f"{USER}@127.0.0.1", "-s", "netconf",
        ],
        input=data, capture_output=True, timeout=30, check=False,
    )  # fmt: skip
    greeting, edited, found, refused, schema, closed, rest = done.stdout.decode().split("]]>]]>")
    assert (done.returncode, rest) == (0, "")
    assert f"{GARDEN}?module=acme-garden" in greeting
    assert ["<ok/>" in reply for reply in (edited, closed)] == [True, True]
    assert "<owner>Änne</owner>" in found
    assert "<error-tag>invalid-value</error-tag>" in refused
    assert "module acme-garden {" in schema


def test_curl(garden: Garden, need: Callable[[str, str], str]) -> None:
    def curl(path: str, *options: str) -> tuple[int, str]:
        command = [need("curl", "curl"), "-s", "-u", f"{USER}:{PASSWORD}", "-w", "\n%{http_code}", *options]
        address = f"http://127.0.0.1:{garden.http}{path}"
        done = subprocess.run([*command, address], capture_output=True, timeout=30, check=True, text=True)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body

    data, kind = "/restconf/data/acme-garden:garden", ("-H", "Content-Type: application/yang-data+json")
    status, body = curl("/restconf/data/ietf-yang-library:yang-library?fields=module-set/module/name")
    assert status == 200
    modules = json.loads(body)["ietf-yang-library:yang-library"]["module-set"][0]["module"]
    assert "acme-garden" in [module["name"] for module in modules]
    bed = '{"acme-garden:bed": [{"name": "a/b", "area": 20}]}'
    assert curl(f"{data}/bed=a%2Fb", "-X", "PUT", *kind, "-d", bed)[0] == 201
    assert curl(f"{data}/bed=a%2Fb/area") == (200, '{"acme-garden:area":20}')
    status, body = curl(f"{data}/bed=a%2Fb", "-X", "PATCH", *kind, "-d", bed.replace("20", "501"))
    assert (status, json.loads(body)["ietf-restconf:errors"]["error"][0]["error-tag"]) == (400, "invalid-value")
    assert curl(f"{data}/bed=a%2Fb", "-X", "DELETE")[0] == 204
    assert curl(f"{data}/bed=a%2Fb")[0] == 404


def test_compat(garden: Garden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`nms model compat --live` reads our modules as it reads anybody's."""
    (tmp_path / ".ssh").mkdir()
    host_key = asyncssh.read_private_key(garden.key.with_name("host_key")).export_public_key().decode()
    (tmp_path / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{garden.ssh} {host_key}")
    monkeypatch.setenv("HOME", str(tmp_path))
    url = f"netconf://{USER}@127.0.0.1:{garden.ssh}"
    assert cli.main(["model", "compat", str(MODELS), "--live", url, "--key", str(garden.key)]) == 0
