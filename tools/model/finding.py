"""A finding and how it is shown: a line for people, JSON for scripts, SARIF 2.1.0 for editors and code hosts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tools.model.rules import RULES, Rule, Severity

_RANK: Final = {"error": 0, "warning": 1, "note": 2}
SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


@dataclass(frozen=True, order=True, slots=True)
class Finding:
    """One thing found, and where; `line` starts at 1."""

    file: Path
    line: int
    code: str
    message: str
    severity: Severity

    @property
    def rule(self) -> Rule:
        """Why it matters and the way out."""
        return RULES[self.code]

    def __str__(self) -> str:
        return f"{shown(self.file)}:{self.line}: {self.severity} {self.code} {self.message}"


def found(code: str, file: Path, line: int, message: str, *, ours: bool) -> Finding:
    """A finding with the severity that its rule has in such a module."""
    return Finding(file, max(line, 1), code, " ".join(message.split()), RULES[code].of(ours))


def shown(file: Path) -> str:
    """A file as a person in this folder names it."""
    here = Path.cwd()
    return str(file.resolve().relative_to(here)) if file.resolve().is_relative_to(here) else str(file)


def worst(findings: Iterable[Finding]) -> Severity | None:
    """The gravest severity there is."""
    return min((finding.severity for finding in findings), key=_RANK.__getitem__, default=None)


def at_least(findings: Iterable[Finding], severity: Severity) -> list[Finding]:
    """The findings of `severity` and graver ones."""
    return [finding for finding in findings if _RANK[finding.severity] <= _RANK[severity]]


def as_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Findings as objects: code, severity, file, line, message, why, remedy."""
    return [
        {
            "code": f.code, "severity": f.severity, "file": shown(f.file), "line": f.line, "message": f.message,
            "why": f.rule.why, "remedy": f.rule.remedy,
        }
        for f in findings
    ]  # fmt: skip


def as_sarif(findings: Sequence[Finding], version: str) -> dict[str, Any]:
    """A SARIF 2.1.0 log of one run, with the rules that it names.

    Args:
        version: of this program.
    """
    codes = sorted({finding.code for finding in findings})
    rules = [
        {
            "id": code,
            "shortDescription": {"text": rule.title},
            "fullDescription": {"text": rule.why},
            "help": {"text": rule.remedy},
            "defaultConfiguration": {"level": rule.severity},
        }
        for code in codes
        for rule in (RULES[code],)
    ]
    results = [
        {
            "ruleId": f.code,
            "ruleIndex": codes.index(f.code),
            "level": f.severity,
            "message": {"text": f"{f.message}. {f.rule.remedy}"},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": _uri(f.file)},
                        "region": {"startLine": f.line},
                    }
                }
            ],
        }
        for f in findings
    ]
    driver = {"name": "nms model check", "version": version, "rules": rules}
    return {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _uri(file: Path) -> str:
    name = shown(file)
    return name if not Path(name).is_absolute() else Path(name).as_uri()
