"""What this domain shows and tells of its partners: states, sessions, reachability, alarms (RFC 8632).

Everything is derived from a `Link` and a verdict; nothing is decided here.
"""

from __future__ import annotations

from typing import Any, Final, cast

from nms.federation import models
from nms.federation.agreement import State
from nms.federation.identity import PARTNERS
from nms.federation.link import Link, digest_of
from nms.mec.occurrence import plain
from nms.mec.publisher import Publisher, timestamp
from nms.mec.scope import Scope, agreement_path
from nms.mec.session import Members

OWN: Final = Scope("/mec-system:system")
SYSTEM: Final = "mec-system:system"


class Standing:
    """Publishes below ``/mec-federation:federation/partner``."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def state_of(self, partner: str, agreement: str) -> State:
        """The state that an agreement was shown in last."""
        found = self._publisher.read(agreement_path(partner, agreement) + "/state") or {}
        return cast(State, plain(found.get("federation-state", "proposed")))

    def state(self, key: tuple[str, str], state: State, reason: str) -> None:
        """Show, and tell both sides of, the state of the agreement `key`."""
        path = agreement_path(*key) + "/state"
        held = self._publisher.read(path) or {}
        previous = held.get("federation-state", "")
        shown: Members = {
            **held,
            "federation-state": f"mec-types:{state}",
            "reason": reason,
            "last-sequence": str(self._publisher.sequence(*key)),
        }
        if plain(previous) != state:
            shown["state-entered-time"] = self._publisher.now()
        if shown == held or not self._publisher.state(path, shown):
            return
        if plain(previous) != state:
            told: Members = {"federation-state": f"mec-types:{state}", "reason": reason}
            if previous:
                told["previous-state"] = previous
            name = "mec-federation:federation-state-changed"
            self._publisher.notify(OWN, name, {**told, "partner": key[0], "agreement": key[1]})
            self._publisher.notify(Scope(agreement_path(*key) + f"/{SYSTEM}", *key), name, told)

    def partner(self, link: Link, entry: Members) -> None:
        """Show what is known of the partner with that entry; tell, and raise an alarm, when it stops answering."""
        path = f"{PARTNERS}[id='{link.id[0]}']"
        now = self._publisher.now()
        held = self._publisher.read(f"{path}/state") or {}
        state: Members = {"reachable": link.reachable}
        if link.reachable:
            state |= {"last-seen": now, "round-trip": f"{link.round_trip:.3f}"}
        else:
            state |= {name: held[name] for name in ("last-seen", "round-trip") if name in held}
            state["last-error"] = link.error
        if link.mismatch is not None:
            state["models-agree"] = not models.told(link.mismatch)
            if link.mismatch:
                state["model-mismatch"] = models.shown(link.mismatch)
        self._publisher.state(f"{path}/state", state, durable=False)
        if link.domain and link.reachable:
            digest = digest_of(link.domain)
            accepted = entry.get("descriptor", {}).get("accepted-digest", digest) == digest
            facts = {name: value for name, value in link.domain.items() if name not in ("id", "dns-zone")}
            acquired = {"acquired-at": now, "digest": digest, "accepted": accepted, **facts}
            before = self._publisher.read(f"{path}/descriptor/acquired") or {}
            if before.get("digest") != digest or before.get("accepted") != accepted:
                self._publisher.state(f"{path}/descriptor/acquired", acquired)
        if held.get("reachable") != link.reachable:
            told = {"partner": link.id[0], "reachable": link.reachable, "last-seen": state.get("last-seen", now)}
            if link.error:
                told["last-error"] = link.error
            self._publisher.notify(OWN, "mec-federation:partner-reachability-changed", told)
            text = f"{link.id[0]} does not answer: {link.error}"
            self._publisher.alarm(OWN, link.id[0], "partner-unreachable-alarm", "major", text, cleared=link.reachable)

    def forget(self, partner: str, agreement: str, *, last: bool) -> None:
        """An agreement's entry is gone: nobody waits for what it was about; nor for the partner if it was the last."""
        over = "the agreement was removed"
        self._publisher.alarm(OWN, f"{partner}/{agreement}", "agreement-expired-alarm", "major", over, cleared=True)
        if last:
            self._publisher.alarm(OWN, partner, "partner-unreachable-alarm", "major", over, cleared=True)
            self._publisher.state(f"{PARTNERS}[id='{partner}']/state", None, durable=False)

    def session(self, link: Link) -> None:
        """Show the counters of the agreement's session, for each reference point that it carries; tell of changes."""
        counters = link.session.counters
        carried: dict[str, Any] = {
            "state": f"mec-types:{counters.state}",
            "messages-in": str(counters.messages_in),
            "messages-out": str(counters.messages_out),
            "notifications-in": str(counters.notifications),
            "notifications-lost": str(counters.lost),
            "resyncs": str(counters.resyncs),
            "reconnects": str(counters.reconnects),
        }
        if counters.established_at is not None:
            carried["established-at"] = timestamp(counters.established_at)
            carried["endpoint"] = counters.endpoint
        if counters.protocol:
            carried["transport"] = f"mec-types:{counters.protocol}"
        if counters.last_error_time is not None:
            carried |= {"last-error": counters.last_error, "last-error-time": timestamp(counters.last_error_time)}
        shown_before = self._publisher.entries(agreement_path(*link.id) + "/session")
        for gone in {each["reference-point"] for each in shown_before} - {f"mec-types:{name}" for name in link.points}:
            path = agreement_path(*link.id) + f"/session[reference-point='{gone}']"
            self._publisher.state(path, None, durable=False)
        for name in link.points:
            point = f"mec-types:{name}"
            path = agreement_path(*link.id) + f"/session[reference-point='{point}']"
            before = self._publisher.read(path) or {}
            shown = {"reference-point": point, **carried, "exchange": link.traffic.shown(name)}
            self._publisher.state(path, shown, durable=False)
            if before.get("state") != shown["state"]:
                told = {"partner": link.id[0], "agreement": link.id[1], "reference-point": point}
                error = {"last-error": counters.last_error} if counters.last_error else {}
                event = {**told, "state": shown["state"], **error}
                self._publisher.notify(OWN, "mec-federation:session-state-changed", event)
