"""The life of an agreement: proposed, negotiating, active, suspended, expired, terminating, terminated.

A pure function of what is known now: nothing is remembered but the present state, so that a daemon that comes back
arrives where it was.  Paper sections 4.1 and 5.4; ETSI GS MEC 040.  This module knows no clock, no partner, no store.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

State = Literal["proposed", "negotiating", "active", "suspended", "expired", "terminating", "terminated"]
Admin = Literal["enabled", "suspended", "terminated"]


@dataclass(frozen=True, slots=True)
class Terms:
    """What this side has configured: `role` here, and in which window of time; `until` None never ends.

    Attributes:
        grace: how long after `until` what lives under the agreement is kept; None keeps it until somebody ends it.
    """

    role: Literal["consumer", "provider"]
    option: str
    admin: Admin = "enabled"
    begin: datetime | None = None
    until: datetime | None = None
    grace: timedelta | None = None
    zones: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Theirs:
    """What the partner shows of the same agreement; `state` "" when it did not say yet, `until` None never ends."""

    role: str
    option: str
    admin: str = "enabled"
    state: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the other side.

    Attributes:
        answered: the partner has answered once since this side knows the agreement.
        theirs: its entry of the agreement, None when it has none.
        differing: its models that mean something else than ours, in words; None: not compared yet.
        descriptor_accepted: the operator has accepted its descriptor, or asks for no acceptance.
        unsupported: why the boundary option cannot be activated here; empty when it can.
        live: things that exist under the agreement here or there.
    """

    answered: bool = False
    theirs: Theirs | None = None
    differing: str | None = None
    descriptor_accepted: bool = True
    unsupported: str = ""
    live: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state an agreement is in now and the reason for people."""

    state: State
    reason: str = ""


def judge(present: State, terms: Terms, known: Known, now: datetime) -> Verdict:
    """The state of an agreement that was in `present`, given what is known at `now`.

    `terminated` is final, and `terminating` leads nowhere else; everything else follows from the facts.
    """
    if present == "terminated":
        return Verdict("terminated", "its record is kept until it is deleted")
    if present == "terminating" or terms.admin == "terminated" or _theirs(known, "terminated"):
        return _ending(known, "the partner has ended it" if terms.admin != "terminated" else "ended by this side")
    if terms.until is not None and now >= terms.until:
        if terms.grace is not None and now >= terms.until + terms.grace:
            return _ending(known, "its time is over and so is the grace period")
        return Verdict("expired", f"its time is over; {known.live} live under it" if known.live else "its time is over")
    if known.theirs is not None and known.theirs.until is not None and now >= known.theirs.until:
        return Verdict("expired", "its time is over for the partner")
    if terms.admin == "suspended":
        return Verdict("suspended", "halted by this side")
    if known.theirs is not None and known.theirs.admin == "suspended":
        return Verdict("suspended", "halted by the partner")
    if terms.begin is not None and now < terms.begin:
        return Verdict("negotiating" if known.theirs else "proposed", f"begins at {terms.begin.isoformat()}")
    return _agreeing(present, terms, known)


def _theirs(known: Known, admin: str) -> bool:
    return known.theirs is not None and (
        known.theirs.admin == admin or known.theirs.state in ("terminating", "terminated")
    )


def _ending(known: Known, why: str) -> Verdict:
    if known.live:
        return Verdict("terminating", f"{why}; {known.live} still to be withdrawn")
    return Verdict("terminated", why)


def _agreeing(present: State, terms: Terms, known: Known) -> Verdict:
    """Between proposed and active: the first thing that is missing."""
    if known.unsupported:
        return Verdict("proposed", known.unsupported)
    if not known.answered:
        # After a restart: what was agreed stays so until the partner says otherwise.
        return Verdict("active" if present == "active" else "proposed", "the partner has not answered yet")
    if known.theirs is None:
        return Verdict("proposed", "the partner does not know the agreement yet")
    if known.theirs.option != terms.option:
        return Verdict("negotiating", f"the partner wants boundary option {known.theirs.option or 'none'}")
    if known.theirs.role == terms.role:
        return Verdict("negotiating", f"both sides want to be the {terms.role}")
    if known.differing is None:
        return Verdict("negotiating", "the partner's models are not known yet")
    if known.differing:
        return Verdict("negotiating", f"models differ: {known.differing}; see the partner's model-mismatch")
    if not known.descriptor_accepted:
        return Verdict(
            "negotiating", "the partner's descriptor is not the accepted one: compare it and accept its digest"
        )
    if not terms.zones:
        return Verdict("negotiating", "no zone is both offered and accepted")
    return Verdict("active")
