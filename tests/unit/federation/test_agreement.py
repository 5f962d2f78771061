"""The life of an agreement: what is known, and when, decides its state."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from nms.federation.agreement import Known, State, Terms, Theirs, judge

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
TERMS = Terms(role="consumer", option="option-system", zones=frozenset({"zone-1"}))
THEIRS = Theirs(role="provider", option="option-system")
KNOWN = Known(answered=True, theirs=THEIRS, differing="")


@pytest.mark.parametrize(
    ("terms", "known", "state", "reason"),
    [
        (TERMS, KNOWN, "active", ""),
        (TERMS, replace(KNOWN, theirs=None), "proposed", "does not know"),
        (TERMS, replace(KNOWN, unsupported="option 4 does not work"), "proposed", "option 4"),
        (TERMS, replace(KNOWN, theirs=replace(THEIRS, role="consumer")), "negotiating", "both sides"),
        (TERMS, replace(KNOWN, theirs=replace(THEIRS, option="option-service")), "negotiating", "option-service"),
        (TERMS, replace(KNOWN, differing=None), "negotiating", "not known"),
        (TERMS, replace(KNOWN, differing="x (breaking)"), "negotiating", "models differ: x (breaking)"),
        (TERMS, replace(KNOWN, descriptor_accepted=False), "negotiating", "descriptor"),
        (replace(TERMS, zones=frozenset()), KNOWN, "negotiating", "no zone"),
        (replace(TERMS, begin=NOW + HOUR), KNOWN, "negotiating", "begins at"),
        (replace(TERMS, admin="suspended"), KNOWN, "suspended", "this side"),
        (TERMS, replace(KNOWN, theirs=replace(THEIRS, admin="suspended")), "suspended", "the partner"),
        (replace(TERMS, until=NOW), replace(KNOWN, live=2), "expired", "2 live"),
        (TERMS, replace(KNOWN, theirs=replace(THEIRS, until=NOW)), "expired", "for the partner"),
        (replace(TERMS, until=NOW - HOUR, grace=HOUR), replace(KNOWN, live=1), "terminating", "grace"),
        (replace(TERMS, until=NOW - HOUR, grace=HOUR), KNOWN, "terminated", "grace"),
        (replace(TERMS, admin="terminated"), replace(KNOWN, live=1), "terminating", "this side"),
        (TERMS, replace(KNOWN, theirs=replace(THEIRS, state="terminating"), live=1), "terminating", "the partner"),
        (replace(TERMS, admin="terminated"), KNOWN, "terminated", "this side"),
    ],
)
def test_what_is_known_decides(terms: Terms, known: Known, state: State, reason: str) -> None:
    for present in ("proposed", "negotiating", "active", "suspended", "expired"):
        verdict = judge(present, terms, known, NOW)
        assert verdict.state == state
        assert reason in verdict.reason


def test_the_end_is_final() -> None:
    assert judge("terminated", TERMS, KNOWN, NOW).state == "terminated"
    assert judge("terminating", TERMS, replace(KNOWN, live=1), NOW).state == "terminating"
    assert judge("terminating", TERMS, KNOWN, NOW).state == "terminated"


def test_a_prolonged_agreement_comes_back() -> None:
    assert judge("expired", replace(TERMS, until=NOW + HOUR), KNOWN, NOW).state == "active"


@pytest.mark.parametrize("present", ["proposed", "negotiating", "active", "suspended", "expired"])
def test_a_partner_that_has_not_answered_since_the_start_changes_nothing_agreed(present: State) -> None:
    verdict = judge(present, TERMS, Known(), NOW)
    assert verdict.state == ("active" if present == "active" else "proposed")
    assert "not answered" in verdict.reason
