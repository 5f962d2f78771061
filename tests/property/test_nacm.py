"""NACM over both protocols, and beside it RFC 8341 section 3.4.5 as its text has it, written a second time.

Random rule lists, data and requests go to one server: what NETCONF refuses RESTCONF refuses, with the same error-path
and the same data afterwards, and `Reference` says the same.  It knows instances as tuples of (name, key) and nothing of
schemas, trees or how the server decides.

An instance that may not be read hides all below it, except the way to what a permit rule's path names (section 3.2.4
leaves that out as well; who is permitted one subtree could not address it otherwise).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from lxml import etree

from nms.model import json, xml
from nms.model.load import load
from nms.operations.dispatch import PROTOCOL_MODULES
from tests.conformance.restconf.server import Server

MODELS = Path(__file__).parents[1] / "conformance" / "restconf" / "models"
MODULES = ("conformance-shelf", "conformance-types", "conformance-more", "conformance-vault", "example-jukebox")
MODULE, NAMESPACE = "conformance-vault", "urn:conformance:vault"
NC = "urn:ietf:params:xml:ns:netconf:base:1.0"
KEYS = {"box": "number", "guard": "name"}
#: Names under which the model says default-deny-all, default-deny-write.
DENY_ALL = {("vault", "combination"), ("ledger",)}
DENY_WRITE = {("vault", "owner"), ("sign",)}

#: Steps from the top: a name, and the key of an entry or the value of a leaf-list.
Instance = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Rule:
    """A rule; `path` None: of a module as a whole."""

    permit: bool
    module: str
    path: Instance | None
    operations: frozenset[str] | None

    @property
    def config(self) -> dict[str, Any]:
        """As ietf-netconf-acm has it."""
        found: dict[str, Any] = {"module-name": self.module, "action": "permit" if self.permit else "deny"}
        if self.path is not None:
            found["path"] = text_of(self.path)
        if self.operations is not None:
            found["access-operations"] = " ".join(sorted(self.operations))
        return found


def text_of(path: Instance) -> str:
    """The instance-identifier of `path`, every name qualified."""
    text = ""
    for name, key in path:
        text += f"/{MODULE}:{name}"
        if key is not None:
            text += f"[{MODULE}:{KEYS[name]}='{key}']" if name in KEYS else f"[.='{key}']"
    return text


@dataclass(frozen=True)
class Case:
    """What binds the user bob: whether he is in the group, the rule-lists by group, the defaults."""

    member: bool
    lists: Sequence[tuple[str, Sequence[Rule]]]
    read_default: bool
    write_default: bool

    @property
    def config(self) -> dict[str, Any]:
        """As ietf-netconf-acm has it."""
        words = {True: "permit", False: "deny"}
        return {
            "read-default": words[self.read_default],
            "write-default": words[self.write_default],
            "groups": {"group": [{"name": "staff", "user-name": ["bob"] if self.member else []}]},
            "rule-list": [
                {
                    "name": str(number),
                    "group": [group],
                    "rule": [{"name": str(place)} | rule.config for place, rule in enumerate(rules)],
                }
                for number, (group, rules) in enumerate(self.lists)
            ],
        }


class Reference:
    """Section 3.4.5, step by step."""

    def __init__(self, case: Case) -> None:
        self.case = case
        # steps 3 to 6: the groups of the user, and the rule-lists that name one of them; in no group none applies
        groups = {"staff", "*"} if case.member else set()
        self.rules = [rule for group, rules in case.lists if group in groups for rule in rules]

    def permits(self, operation: str, path: Instance) -> bool:
        """Is the access to the instance itself permitted?"""
        for rule in self.rules:  # step 7: the first one that matches
            if rule.module not in ("*", MODULE) or (rule.operations is not None and operation not in rule.operations):
                continue
            if rule.path is None or agree(rule.path, path) == len(rule.path):
                return rule.permit
        names = tuple(name for name, _ in path)  # steps 9 to 11: what the model says, then the defaults
        denied = DENY_ALL if operation == "read" else DENY_ALL | DENY_WRITE
        if any(names[:length] in denied for length in range(1, len(names) + 1)):
            return False
        return self.case.read_default if operation == "read" else self.case.write_default

    def leads(self, path: Instance, *, beyond: bool) -> bool:
        """Does a rule that permits reading name something at, below or (not `beyond`) above `path`?"""
        for rule in self.rules:
            if not rule.permit or rule.path is None or not (rule.operations is None or "read" in rule.operations):
                continue
            if rule.module not in ("*", MODULE):
                continue
            common = agree(rule.path, path)
            if common == len(path) and len(rule.path) > common:
                return True
            if not beyond and common in (len(path), len(rule.path)):
                return True
        return False

    def sees(self, path: Instance) -> bool:
        """Is a leaf, a value of a leaf-list or an entry shown?"""
        above_is_shown = True
        for length in range(1, len(path) + 1):
            here = path[:length]
            if not above_is_shown and not self.leads(here, beyond=False):
                return False
            above_is_shown = self.permits("read", here)
            if not above_is_shown and (length == len(path) or not self.leads(here, beyond=True)):
                return False
        return True

    def may_write(self, before: Mapping[Instance, Any], after: Mapping[Instance, Any]) -> bool:
        """May each instance that differs be created, deleted or updated (section 3.2.5)?

        A container without presence is judged where it comes or goes with its entry: else it has no existence.
        """
        created = {path for path in after if path not in before}
        deleted = {path for path in before if path not in after}
        accesses = [("create", path) for path in created if exists(path) or with_its_entry(path, created)]
        accesses += [("delete", path) for path in deleted if exists(path) or with_its_entry(path, deleted)]
        accesses += [("update", path) for path in before if path in after and before[path] != after[path]]
        return all(self.permits(operation, path) for operation, path in accesses)


def exists(path: Instance) -> bool:
    """Has an instance an existence of its own, being no container?"""
    return path[-1][0] not in {"vault", "ledger", "sign", "content", "page"}


def with_its_entry(path: Instance, changed: set[Instance]) -> bool:
    """Is there an entry above `path` among what has changed?"""
    return any(path[:length] in changed and path[length - 1][0] in KEYS for length in range(1, len(path)))


def agree(one: Instance, other: Instance) -> int:
    """How many steps from the top a rule's path has in common with an instance; a step without key is for every key."""
    common = 0
    for (name, key), (other_name, other_key) in zip(one, other, strict=False):
        if name != other_name or (key is not None and key != other_key):
            break
        common += 1
    return common


# ---------------------------------------------------------------- data as instances


def instances(members: Mapping[str, Any], above: Instance = ()) -> Iterator[tuple[Instance, Any]]:
    """Every instance, the value of a leaf beside it; keys belong to their entries."""
    for qualified, value in members.items():
        name = qualified.rpartition(":")[2]
        if above and KEYS.get(above[-1][0]) == name:
            continue
        if isinstance(value, list):
            for item in value:
                key = item[KEYS[name]] if isinstance(item, dict) else item
                here = (*above, (name, str(key)))
                yield here, None
                if isinstance(item, dict):
                    yield from instances(item, here)
        elif isinstance(value, dict):
            below = list(instances(value, (*above, (name, None))))
            if below:
                yield (*above, (name, None)), None
            yield from below
        else:
            yield (*above, (name, None)), value


def leafs_and_entries(members: Mapping[str, Any]) -> set[Instance]:
    """What is seen of data."""
    return {path for path, _ in instances(members) if exists(path)}


# ---------------------------------------------------------------- strategies

NUMBERS = ("1", "2", "3")
CONTENT: list[Instance] = [(("gold", None),), (("silver", None),)]
PATHS: list[Instance] = [
    (("vault", None),),
    *((("vault", None), (name, None)) for name in ("name", "combination", "owner", "box", "guard", "badge")),
    *((("vault", None), ("box", number)) for number in NUMBERS),
    *((("vault", None), ("box", number), ("holder", None)) for number in (None, *NUMBERS)),
    *((("vault", None), ("box", number), ("content", None)) for number in (None, *NUMBERS)),
    *((("vault", None), ("box", number), ("content", None), *leaf) for number in (None, "1") for leaf in CONTENT),
    (("vault", None), ("badge", "p")),
    (("vault", None), ("guard", "x")),
    (("ledger", None),),
    (("ledger", None), ("page", None), ("text", None)),
    (("sign", None), ("text", None)),
]
CRUD = ("create", "read", "update", "delete")
some_operations = st.sets(st.sampled_from(CRUD), min_size=1).map(frozenset)
rules = st.one_of(
    st.builds(Rule, st.booleans(), st.sampled_from(["*", MODULE]), st.sampled_from(PATHS), st.none() | some_operations),
    # a rule without path is one of operations too, and so of NETCONF's own: it may not say what it says to them
    st.builds(Rule, st.booleans(), st.sampled_from(["*", MODULE, "conformance-types"]), st.none(), some_operations),
)
lists = st.lists(st.tuples(st.sampled_from(["staff", "*", "others"]), st.lists(rules, max_size=4)), max_size=3)
cases = st.builds(Case, st.sampled_from([True, True, True, False]), lists, st.booleans(), st.booleans())


def optional(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with some of the members."""
    return st.fixed_dictionaries({}, optional=members)


text = st.sampled_from(["a", "b"])
number = st.integers(1, 3)
content = optional(gold=number, silver=number)
box = st.builds(lambda n, inner: {"number": n} | inner, number, optional(holder=text, content=content))
guard = st.builds(lambda name, inner: {"name": name} | inner, st.sampled_from("xy"), optional(shift=text))
vault = optional(
    name=text,
    combination=text,
    owner=text,
    box=st.lists(box, max_size=3, unique_by=lambda entry: entry["number"]),
    guard=st.lists(guard, max_size=2, unique_by=lambda entry: entry["name"]),
    badge=st.lists(st.sampled_from("pq"), max_size=2, unique=True),
)
data = st.fixed_dictionaries(
    {
        f"{MODULE}:vault": vault,
        f"{MODULE}:ledger": optional(entry=text, page=optional(text=text)),
        f"{MODULE}:sign": optional(text=text),
    }
)
#: Target -> values that may be written there.
TARGETS: dict[Instance, st.SearchStrategy[Any]] = {
    (("vault", None),): vault,
    (("vault", None), ("name", None)): text,
    (("vault", None), ("combination", None)): text,
    (("vault", None), ("owner", None)): text,
    **{
        (("vault", None), ("box", n)): optional(holder=text, content=content).map(lambda b, n=n: {"number": int(n)} | b)
        for n in NUMBERS
    },
    **{(("vault", None), ("box", n), ("holder", None)): text for n in NUMBERS},
    **{(("vault", None), ("box", n), ("content", None)): content for n in NUMBERS},
    **{(("vault", None), ("badge", value)): st.just(value) for value in "pq"},
    (("vault", None), ("guard", "x")): optional(shift=text).map(lambda g: {"name": "x"} | g),
    (("ledger", None),): optional(entry=text),
    (("ledger", None), ("page", None), ("text", None)): text,
    (("sign", None), ("text", None)): text,
}


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, Instance, Any]:
    """An operation of edit-config, its target and what is written."""
    target = draw(st.sampled_from(sorted(TARGETS, key=str)))
    return draw(st.sampled_from(["create", "merge", "replace", "delete"])), target, draw(TARGETS[target])


# ---------------------------------------------------------------- the two protocols


def uri(path: Instance) -> str:
    """The data resource."""
    steps = [name if key is None else f"{name}={key}" for name, key in path]
    return f"/restconf/data/{MODULE}:" + "/".join(steps)


def over_restconf(server: Server, operation: str, path: Instance, value: Any) -> tuple[str, str]:
    """The verdict, and the error-path of a refusal."""
    name, key = path[-1]
    method = {"create": "POST", "merge": "PATCH", "replace": "PUT", "delete": "DELETE"}[operation]
    target = uri(path)
    if operation == "create":
        target = uri(path[:-1]) if len(path) > 1 else "/restconf/data"
    body = b"" if operation == "delete" else orjson.dumps({f"{MODULE}:{name}": [value] if key is not None else value})
    media = b"Content-Type: application/yang-data+json\n" if body else b""
    answer = server.step(f"{method} {target}\nUser: bob\n".encode() + media + b"\n" + body)
    if answer.startswith(b"2"):
        return "ok", ""
    (error,) = orjson.loads(answer[answer.index(b"{") :])["ietf-restconf:errors"]["error"]
    return error["error-tag"], error.get("error-path", "")


def over_netconf(server: Server, operation: str, path: Instance, value: Any) -> tuple[str, str]:
    """As `over_restconf`."""
    top = element = etree.Element(f"{{{NAMESPACE}}}{path[0][0]}", nsmap={None: NAMESPACE, "nc": NC})
    for number, (name, key) in enumerate(path[1:], 2):
        element = etree.SubElement(element, f"{{{NAMESPACE}}}{name}")
        if key is not None and (number < len(path) or operation == "delete"):
            _fill(element, {KEYS[name]: key} if name in KEYS else key)
    element.set(f"{{{NC}}}operation", operation)
    if operation != "delete":
        _fill(element, value)
    config = etree.tostring(top).decode()
    reply = server.message(
        f'<rpc xmlns="{NC}" message-id="1"><!-- user bob --><edit-config><target><running/></target>'
        f"<config>{config}</config></edit-config></rpc>".encode()
    )
    root = etree.fromstring(reply)
    if root.find(f"{{{NC}}}ok") is not None:
        return "ok", ""
    (error,) = root.findall(f"{{{NC}}}rpc-error")
    return error.findtext(f"{{{NC}}}error-tag") or "", error.findtext(f"{{{NC}}}error-path") or ""


def _fill(element: etree._Element, value: Any) -> None:
    if not isinstance(value, dict):
        element.text = str(value)
        return
    for name, member in value.items():
        for item in member if isinstance(member, list) else [member]:
            _fill(etree.SubElement(element, f"{{{NAMESPACE}}}{name}"), item)


def ours(members: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a datastore that the property is about."""
    return {name: value for name, value in members.items() if name.startswith(f"{MODULE}:")}


def present(server: Server) -> dict[str, Any]:
    """What running holds."""
    return ours(json.plain(server.schema.root, server.core.store.running))


def read_restconf(server: Server) -> dict[str, Any]:
    answer = server.step(b"GET /restconf/ds/ietf-datastores:running\nUser: bob\n")
    return ours(orjson.loads(answer[answer.index(b"{") :])["ietf-restconf:data"])


def read_netconf(server: Server) -> dict[str, Any]:
    reply = server.message(
        f'<rpc xmlns="{NC}" message-id="1"><!-- user bob --><get-config><source><running/></source></get-config>'
        "</rpc>".encode()
    )
    held = etree.fromstring(reply).find(f"{{{NC}}}data")
    return ours(json.plain(server.schema.root, xml.decode(server.schema.root, held)))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server(load([MODELS], [*MODULES, *PROTOCOL_MODULES]))
    yield server
    server.close()


def put(server: Server, case: Case, members: Mapping[str, Any]) -> None:
    """Make this the configuration."""
    whole = {"ietf-restconf:data": {"ietf-netconf-acm:nacm": case.config} | dict(members)}
    head = b"PUT /restconf/data\nContent-Type: application/yang-data+json\n\n"
    assert server.step(head + orjson.dumps(whole)).startswith(b"2")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(case=cases, members=data)
def test_both_protocols_show_what_the_reference_shows(server: Server, case: Case, members: dict[str, Any]) -> None:
    put(server, case, members)
    reference = Reference(case)
    expected = {path for path in leafs_and_entries(members) if reference.sees(path)}
    # the way to what is shown is shown, by its keys
    expected |= {path[:n] for path in expected for n in range(1, len(path)) if path[n - 1][0] in KEYS}
    assert leafs_and_entries(read_restconf(server)) == expected
    assert leafs_and_entries(read_netconf(server)) == expected


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(case=cases, members=data, request=requests())
def test_both_protocols_write_what_the_reference_permits(
    server: Server, case: Case, members: dict[str, Any], request: tuple[str, Instance, Any]
) -> None:
    operation, path, value = request
    put(server, case, members)
    before = present(server)
    found = dict(instances(before))
    # not below an entry that is not there, and whether the target exists is another question
    assume(all(name not in KEYS or path[:n] in found for n, (name, _) in enumerate(path[:-1], 1)))
    assume(operation == "replace" or (path in found) == (operation != "create"))
    verdict = over_restconf(server, operation, path, value)
    after = present(server)
    put(server, case, members)
    assert over_netconf(server, operation, path, value) == verdict
    assert present(server) == after
    # what it would have become is what it becomes where nobody is bound
    put(server, Case(True, [("staff", [Rule(True, MODULE, None, frozenset(CRUD))])], True, True), members)
    assert over_restconf(server, operation, path, value) == ("ok", "")
    wanted = present(server)
    permitted = Reference(case).may_write(found, dict(instances(wanted)))
    assert verdict[0] == ("ok" if permitted else "access-denied")
    assert after == (wanted if permitted else before)
