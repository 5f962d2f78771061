"""`nms model compat --live`: a server's modules, as it gives them over RESTCONF, beside local ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nms import cli
from nms.errors import ConfigError, RpcError
from tests.federation.test_two_processes import running
from tools.model.live import open_live
from tools.model.live_restconf import Restconf, revisions
from tools.models import YANG, sources


def test_a_running_domain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours = tmp_path / "yang"
    shutil.copytree(YANG, ours)
    file = ours / sources()["mec-order"].name
    text = file.read_text()
    assert "leaf external-id {" in text
    file.write_text(text.replace("leaf external-id {", "leaf other-id {"))
    with running(tmp_path / "a", "a") as daemon:
        daemon.listening()
        where = ["--live", f"https://{daemon.client.endpoint}"]
        for name, of in (("ca", "ca.pem"), ("cert", "admin.pem"), ("key", "admin-key.pem")):
            where += [f"--{name}", str(daemon.folder / of)]
        assert cli.main(["model", "compat", str(YANG / sources()["mec-order"].name), *where]) == 0
        assert "nothing differs" in capsys.readouterr().out
        assert cli.main(["model", "compat", str(ours), *where, "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["modules"]["mec-order"] == "breaking"
    assert {verdict for name, verdict in said["modules"].items() if name != "mec-order"} == {"none"}
    removed = [change for change in said["changes"] if change["code"] == "node-removed"]
    assert removed
    assert all("external-id" in change["path"] for change in removed)


class Server:
    """A server that answers as it is told."""

    def __init__(self, library: dict[str, Any], text: Callable[[str], bytes]) -> None:
        self.library = library
        self.text = text
        self.asked: list[str] = []

    def read(self, path: str) -> dict[str, Any]:
        return self.library

    def request(self, method: str, path: str, *, headers: dict[str, str]) -> tuple[int, bytes]:
        self.asked.append(path)
        return 200, self.text(path)


def library(*modules: dict[str, Any]) -> dict[str, Any]:
    return {"module-set": [{"name": "all", "module": list(modules)}]}


def test_names_that_lead_out_of_the_folder_are_refused() -> None:
    server = Server(library({"name": "../../etc/passwd"}), lambda path: b"")
    with pytest.raises(ConfigError, match="which no module can have"):
        open_live(Restconf(server), ["../../etc/passwd"])
    assert server.asked == []
    server = Server(library({"name": "ex", "revision": "../x"}), lambda path: b"")
    with pytest.raises(ConfigError, match="which no module can have"):
        open_live(Restconf(server), ["ex"])


def test_what_a_server_cannot_give() -> None:
    with pytest.raises(ConfigError, match="none of the modules ex"):
        open_live(Restconf(Server(library(), lambda path: b"")), ["ex"])
    with pytest.raises(ConfigError, match=r"live:ex\.yang:1"):
        open_live(Restconf(Server(library({"name": "ex"}), lambda path: b"module ex {")), ["ex"])

    def refused(path: str) -> bytes:
        raise RpcError("access-denied", "you may not read this")

    with pytest.raises(ConfigError, match="you may not read this"):
        open_live(Restconf(Server(library({"name": "ex"}), refused)), ["ex"])


def test_a_library_lists_submodules_and_imports_too() -> None:
    listed = {
        "module-set": [
            {
                "module": [{"name": "a", "revision": "2026-01-01", "submodule": [{"name": "s"}]}],
                "import-only-module": [{"name": "t", "revision": ""}, {"name": "a", "revision": "2020-01-01"}],
            }
        ]
    }
    assert revisions(listed) == {"a": "2026-01-01", "s": "", "t": ""}


def test_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["model", "compat", str(YANG)]) == 2
    assert cli.main(["model", "compat", str(YANG), "--live", "https://127.0.0.1:1"]) == 2
    assert cli.main(["model", "compat", str(YANG), "--live", "netconf://127.0.0.1:1"]) == 2
    assert "wants --ca, --cert and --key" in capsys.readouterr().err
