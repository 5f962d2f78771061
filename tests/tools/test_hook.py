"""The git hook refuses broken modules and, unless told so, changes that break clients."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE = """module ex-a {
  yang-version 1.1;
  namespace "urn:example:ex-a";
  prefix ex;
  revision 2026-01-01;
  leaf a {
    type uint32;
  }
}
"""

Commit = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def commit(tmp_path: Path) -> Commit:
    """`commit(text, **environment)`: commit a text as the module, through the hook."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "nms").write_text(f'#!/bin/sh\nexec {sys.executable} -m nms.cli "$@"\n')
    (programs / "nms").chmod(0o755)
    repository = tmp_path / "repository"
    (repository / "yang").mkdir(parents=True)
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}

    def git(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", *arguments]
        return subprocess.run(
            command, cwd=repository, env=environment | more, capture_output=True, text=True, check=False
        )

    assert git("init", "-q").returncode == 0
    hooks = repository / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    shutil.copy(ROOT / "tools" / "hooks" / "pre-commit", hooks / "pre-commit")

    def run(text: str, **more: str) -> subprocess.CompletedProcess[str]:
        (repository / "yang" / "ex-a.yang").write_text(text)
        git("add", ".")
        return git("commit", "-q", "-m", "change", **more)

    return run


def test_hook(commit: Commit) -> None:
    broken = commit(MODULE.replace("uint32;", "unit32;"))
    assert broken.returncode != 0
    assert "NMS103" in broken.stdout + broken.stderr
    assert commit(MODULE).returncode == 0
    breaking = MODULE.replace("uint32", "uint16").replace("2026-01-01", "2026-02-01")
    refused = commit(breaking)
    assert refused.returncode != 0
    assert "type-changed" in refused.stdout + refused.stderr
    assert commit(breaking, NMS_BREAKING="1").returncode == 0
