"""How messages are damaged: as bytes, XML elements, JSON values, lists of tokens; deterministic in `Random`."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from random import Random
from typing import Any, Final

from lxml import etree

NETCONF: Final = "{urn:ietf:params:xml:ns:netconf:base:1.0}"
YANG: Final = "{urn:ietf:params:xml:ns:yang:1}"

TEXTS: Final = (
    *(
        "",
        "x",
        " ",
        "\n",
        "0",
        "-1",
        "1.5",
        "9" * 30,
        "1e400",
        "NaN",
        "true",
        "null",
        "a:b",
        ":",
        "::",
        "[",
        "//*[",
        "/",
    ),
    *(
        "..",
        "' or ''='",
        '"',
        "2026-01-01T00:00:00Z",
        "2026-02-30T25:61:61Z",
        "é" * 99,
        "\U0001f30d",
        "\u202e",
        "\ufffe",
    ),
    *(
        "9" * 5000,
        "-0x" + "f" * 5000,
        "n:radio",
        "running",
        "candidate",
        "startup",
        "/n:network/n:node[n:id='a']",
        "*",
        "%",
        "%2",
        "%00",
        "%ff",
        "%2F",
    ),
    *("=", ",", ";", "&", "a=b", "{}", "[null]", "x" * 5000, "P1D", "192.0.2.1", "AAAA", "=AAA"),
)
ATTRIBUTES: Final = (
    *("a", f"{NETCONF}operation", f"{YANG}insert", f"{YANG}key", f"{YANG}value", "type", "select", "message-id"),
    *("{http://www.w3.org/XML/1998/namespace}lang", "{urn:ietf:params:xml:ns:netconf:default:1.0}default"),
)
VALUES: Final = (
    *TEXTS,
    "delete",
    "create",
    "remove",
    "replace",
    "merge",
    "before",
    "after",
    "first",
    "xpath",
    "subtree",
)
#: What has a meaning to some parser.
BYTES: Final = (
    *(
        b"\n#",
        b"\n##\n",
        b"]]>]]>",
        b"\n#1\n",
        b"\n#0\n",
        b"\n#4294967295\n",
        b"\n#99999999999\n",
        b"<",
        b">",
        b"&",
        b"]]>",
    ),
    *(
        b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
        b"&lt;",
        b"&b;",
        b"&#0;",
        b"<![CDATA[",
        b"<!--",
        b"<?x",
        b"\x00",
        b"\xff",
        b"\xc3",
    ),
    *(
        b"\xed\xa0\x80",
        b"{",
        b"}",
        b"[",
        b'"',
        b"\\u0000",
        b"\\ud800",
        b":",
        b",",
        b"%",
        b"/",
        b"..",
        b"=",
        b"'",
        b"\r\n",
        b" ",
    ),
)


def bytes_of(chance: Random, message: bytes) -> bytes:
    """`message` with a few bytes changed, removed, doubled or put in."""
    data = bytearray(message)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.choice((1, 2, 8, 64)))
        match chance.randrange(5):
            case 0:
                del data[at:end]
            case 1:
                data[at:at] = chance.choice(BYTES)
            case 2:
                data[at:at] = data[at:end]
            case 3 if at < len(data):
                data[at] = chance.randrange(256)
            case _:
                data[at:end] = chance.choice(BYTES)
    return bytes(data)


def pieces(chance: Random, data: bytes) -> list[bytes]:
    """`data` cut anywhere."""
    cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.choice((0, 1, 3, 20))))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def element(chance: Random, root: etree._Element, others: Sequence[etree._Element]) -> etree._Element:
    """A copy of `root`, damaged with parts of `others`."""
    root = copy.deepcopy(root)
    for _ in range(chance.randint(1, 3)):
        one = chance.choice(list(root.iter(etree.Element)))
        other = chance.choice(list(chance.choice(others).iter(etree.Element)))
        parent = one.getparent()
        match chance.randrange(9):
            case 0 if parent is not None:
                parent.remove(one)
            case 1 if parent is not None:
                parent.insert(0, copy.deepcopy(one))
            case 2:
                one.text = _legal(chance.choice(TEXTS))
            case 3:
                one.tail = _legal(chance.choice(TEXTS))
            case 4:
                one.append(copy.deepcopy(other))
            case 5:
                one.set(chance.choice(ATTRIBUTES), _legal(chance.choice(VALUES)))
            case 6:
                for attribute in list(one.attrib):
                    del one.attrib[attribute]
            case 7:
                for _ in range(chance.choice((3, 300))):
                    one = etree.SubElement(one, other.tag)
            case _:
                one.tag = other.tag
    return root


def _legal(text: str) -> str:
    """What XML can hold of it."""
    return text.replace("\ufffe", "").replace("\x00", "")


def value(chance: Random, document: Any, others: Sequence[Any]) -> Any:
    """A copy of a JSON document, damaged with parts of `others`."""
    document = {"": copy.deepcopy(document)}
    for _ in range(chance.randint(1, 3)):
        holder, key = chance.choice(list(_places(document)))
        other_holder, other_key = chance.choice(list(_places({"": chance.choice(others)})))
        match chance.randrange(7):
            case 0 if holder is not document:
                del holder[key]
            case 1:
                holder[key] = copy.deepcopy(other_holder[other_key])
            case 2:
                holder[key] = chance.choice(TEXTS)
            case 3:
                holder[key] = chance.choice((None, True, 0, -1, 1e300, 2**70, [], {}, [None], [[]], {"": {}}))
            case 4:
                holder[key] = [holder[key], copy.deepcopy(holder[key])]
            case 5 if isinstance(holder, dict) and holder is not document:
                holder[chance.choice((str(other_key), "@", "@" + str(key), f"x:{key}", *TEXTS))] = holder.pop(key)
            case _:
                for _ in range(chance.choice((2, 200))):
                    holder[key] = {str(other_key): holder[key]} if chance.random() < 0.5 else [holder[key]]
    return document[""]


def _places(held: Any) -> Any:
    """(holder, key) of every value in a document."""
    todo = [held]
    while todo:
        holder = todo.pop()
        for key, inner in list(holder.items() if isinstance(holder, dict) else enumerate(holder)):
            yield holder, key
            if isinstance(inner, dict | list):
                todo.append(inner)


def tokens(chance: Random, words: Sequence[str], vocabulary: Sequence[str]) -> list[str]:
    """`words` with some changed, removed, doubled or put in."""
    damaged = list(words)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(damaged) + 1)
        match chance.randrange(4):
            case 0:
                del damaged[at : at + 1]
            case 1:
                damaged[at : at + 1] = [chance.choice(vocabulary)]
            case 2:
                damaged[at:at] = damaged[max(0, at - chance.randint(1, 6)) : at]
            case _:
                damaged[at:at] = [chance.choice(vocabulary)]
    return damaged
