"""libyang in a process of its own, so that a crash of it ends a case and not the run; JSON lines in and out."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any


class Crash(Exception):
    """libyang ended its process."""


class Oracle:
    """A client of the process; starts it, and again after a crash."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._asked = 0
        self._loaded: dict[str, Any] = {}

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()  # type: ignore[union-attr]
            process.stdout.close()  # type: ignore[union-attr]
            process.kill()
            process.wait()

    def _ask(self, question: dict[str, Any]) -> Any:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.oracle"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                cwd=Path(__file__).parents[2],
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self.close()
            raise Crash
        return json.loads(answer)

    def load(self, folder: Path, modules: list[tuple[str, list[str]]]) -> str:
        """Use these modules from now on; what is wrong with them, or an empty text.

        Raises:
            Crash: libyang did.
        """
        self._asked += 1
        if self._asked % 500 == 0:
            self.close()  # its memory is its own
        self._loaded = {"folder": str(folder), "modules": modules}
        return str(self._ask(self._loaded))

    def verdict(self, text: str, *, xml: bool, state: bool) -> list[dict[str, str]]:
        """The errors in instance data; an empty list says that it is valid.

        Raises:
            Crash: libyang did.
        """
        if self._process is None:
            self._ask(self._loaded)
        answer: list[dict[str, str]] = self._ask({"text": text, "xml": xml, "state": state})
        return answer


def _serve() -> None:
    import oopt_gnpy_libyang as ly

    ly.set_log_options(ly.LogOptions.Store)
    context: Any = None
    for line in sys.stdin:
        question = json.loads(line)
        answer: Any
        if "folder" in question:
            answer = ""
            try:
                context = ly.Context(
                    question["folder"], ly.ContextOptions.NoYangLibrary | ly.ContextOptions.AllImplemented
                )
                for name, features in question["modules"]:
                    context.load_module(name, None, features)
            except ly.Error as error:
                answer = f"{error}: " + "; ".join(f"{e.message} {e.schema_path}" for e in context.errors())
        else:
            answer = _errors(ly, context, question)
        print(json.dumps(answer), flush=True)


def _errors(ly: Any, context: Any, question: dict[str, Any]) -> list[dict[str, str]]:
    parse = ly.ParseOptions.Strict
    check = None  # the first error will do: looking for more after some, libyang 4.5.5 crashes
    if not question["state"]:
        parse |= ly.ParseOptions.NoState
        check = ly.ValidationOptions.NoState
    try:
        context.parse_data(question["text"], ly.DataFormat.XML if question["xml"] else ly.DataFormat.JSON, parse, check)
    except ly.Error as error:
        found = [
            {"path": str(e.data_path or ""), "message": str(e.message), "app_tag": str(e.app_tag or "")}
            for e in context.errors()
            if e.level == ly.LogLevel.Error
        ]
        context.clean_all_errors()
        return found or [{"path": "", "message": str(error), "app_tag": ""}]
    context.clean_all_errors()
    return []


if __name__ == "__main__":
    _serve()
