"""What a session changes does not depend on what it has asked before: it is what a new session would have changed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nms.model.schema import Node
from nms.netconf.messages import DATASTORES, NETCONF, NMDA
from nms.operations.dispatch import Core
from tests.property.test_repeated_reads import (
    MESSAGE_IDS,
    SLOT,
    STARTS,
    Ways,
    drawn,
    filled,
    plain,
    top_node,
    with_another,
)
from tests.unit.netconf.reader import Reader, new_core

#: Of all that there is.
SET = ("text", "number", "hue", "either", "tag", "here", "plain", "inside", "item", "name", "part", "kind", "id")
SET += ("note", "size", "step", "mixed", "k", "v", "shoes", "plate", "seats", "blob", "state", "seen")

PREFIXES = f'xmlns="{NETCONF}" xmlns:nc="{NETCONF}" xmlns:s="urn:shapes" xmlns:y="urn:ietf:params:xml:ns:yang:1"'
OPERATIONS = ("", *(f' nc:operation="{name}"' for name in ("merge", "replace", "create", "delete", "remove", "none")))


def elements(ways: Ways, parent: Node, depth: int = 0) -> str:
    """Data below an instance of `parent`, with operations and places among it."""
    found = ""
    for _ in range(ways(1, 0, 2, 3)):
        node = ways(*(child for child in parent.children if child.name in SET), free=True)
        name = ways(f"s:{node.name}", node.name)
        attributes = ways(*OPERATIONS) + ways("", ' xmlns:s="urn:other"', ' a="x"', ' y:insert="first"')
        if node.user_ordered:
            attributes += ways("", ' y:insert="last"', ' y:insert="before" y:key="[s:id=\'7\']"', free=True)
        space = ways("", "\n  ", SLOT)
        if node.children:
            keys = "".join(f"<s:{key.name}>{SLOT}</s:{key.name}>" for key in node.keys if ways(True, False))
            content = keys + (elements(ways, node, depth + 1) if depth < 3 else "")
        else:
            content = ways(SLOT, SLOT, "", "1", "<s:x>@</s:x>", "<!-- c -->")
        found += f"<{name}{attributes}>{space}{content}</{name}>"
    return found


@st.composite
def templates(draw: st.DrawFn) -> str:
    """A change with places for its texts."""
    ways = drawn(draw)
    config = f"<config><s:top>{elements(ways, top_node())}</s:top></config>"
    target = ways("<running/>", "<candidate/>", free=True)
    default = ways("", *(f"<default-operation>{word}</default-operation>" for word in ("replace", "none", SLOT)))
    options = ways("", "<test-option>set</test-option>", "<error-option>continue-on-error</error-option>")
    datastore = f"<datastore>ds:{ways('running', 'candidate', SLOT)}</datastore>"
    operation = ways(
        f"<edit-config><target>{target}</target>{default}{options}{config}</edit-config>",
        f'<edit-data xmlns="{NMDA}" xmlns:ds="{DATASTORES}">{datastore}{default}{config}</edit-data>',
    )
    return f"{ways(*STARTS)}<rpc {PREFIXES}{ways(*MESSAGE_IDS)}>{operation}</rpc>"


def whole(operation: str) -> bytes:
    return f'<rpc {PREFIXES} message-id="7">{operation}</rpc>'.encode()


AFTERWARDS = [whole(f"<{name}/>") for name in ("commit", "discard-changes")]
READS = [whole(f"<get-config><source><{datastore}/></source></get-config>") for datastore in ("running", "candidate")]


@st.composite
def sequences(draw: st.DrawFn) -> list[bytes]:
    """Changes of one shape: at first with plain texts, then one of them is another; now and then a commit."""
    messages: list[bytes] = []
    for template in draw(st.lists(templates(), min_size=1, max_size=2)):
        for strange in draw(st.lists(st.booleans(), min_size=3, max_size=6)):
            texts = draw(plain(template))
            messages.append(filled(template, with_another(draw, texts) if strange else texts))
            if draw(st.booleans()):
                messages.append(draw(st.sampled_from(AFTERWARDS)))
    return messages


def asked(server: Core, *messages: bytes) -> list[object]:
    with Reader(server) as reader:
        return [reader.ask(message) for message in messages]


@given(sequences())
def test_a_change_does_not_depend_on_what_was_asked_before(messages: list[bytes]) -> None:
    one, other = new_core(), new_core()
    with Reader(one) as reader:
        for message in messages:
            assert [reader.ask(message)] == asked(other, message)
            assert asked(one, *READS) == asked(other, *READS)
