"""Regular expressions of XML Schema: the same verdicts as a translated one of Python's, in linear time."""

from __future__ import annotations

import re

import pytest
from elementpath import translate_pattern
from hypothesis import given
from hypothesis import strategies as st

from nms.errors import RpcError
from nms.model.regex import Expression

ATOMS = st.sampled_from(
    ["a", "b", ".", "[ab]", "[^a]", r"\d", r"\p{Lu}", r"\i", "[a-z-[aeiou]]", r"\.", "-", "^", "$", "é"]
)
TEXTS = st.text(st.sampled_from("abcAé1.-^$\n "), max_size=7)


def pieces(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    quantified = st.tuples(inner, st.sampled_from(["?", "*", "+", "{2}", "{1,}", "{0,2}", "{0}"]))
    return st.one_of(
        quantified.map(lambda pair: f"({pair[0]}){pair[1]}"),
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda some: f"({'|'.join(some)})"),
    )


EXPRESSIONS = st.recursive(ATOMS, pieces, max_leaves=8)


def matches(pattern: str, text: str) -> bool:
    return Expression(pattern).matches(text, lambda work: None)


@given(EXPRESSIONS, TEXTS)
def test_the_verdict_is_pythons(pattern: str, text: str) -> None:
    theirs = translate_pattern(pattern, back_references=False, lazy_quantifiers=False, anchors=False)
    assert matches(pattern, text) is (re.match(theirs, text) is not None)


@pytest.mark.parametrize(
    "pattern", ["(a+)+b", "(a|a)*b", "(a*)*b", "a*a*a*a*a*a*a*a*b", "(a|b|ab)*c", "(){99}(a?){100}a{100}b"]
)
def test_no_way_is_tried_twice(pattern: str) -> None:
    """What is looked at grows with the text, not with the ways through the expression."""
    spent: list[int] = []
    assert not Expression(pattern).matches("a" * 2000, spent.append)
    assert sum(spent) < 2_000_000


@pytest.mark.parametrize(
    "pattern", ["(", "a)", "a**", "[a", "\\", "{1}", "a{2,1}", "(?:a)", "a+?", "\\1", "[z-a]", "\\q", "]"]
)
def test_what_is_no_expression(pattern: str) -> None:
    with pytest.raises(RpcError) as caught:
        Expression(pattern)
    assert caught.value.tag == "invalid-value"


@pytest.mark.parametrize(
    "pattern", ["(a{99}){99}", "a{999999999}", "(){999999999}", "(" * 40 + "a" + ")" * 40, "((((a{9}){9}){9}){9})"]
)
def test_what_is_too_large(pattern: str) -> None:
    with pytest.raises(RpcError) as caught:
        Expression(pattern)
    assert caught.value.tag == "resource-denied"


def test_what_is_remembered_is_bounded() -> None:
    expression = Expression("(.*a.{60})?.*")
    text = "".join("ab"[i * i % 7 % 2] for i in range(3000))
    assert expression.matches(text, lambda work: None)
    assert sum(map(len, expression._steps.values())) <= 20_000
    assert expression.matches(text, lambda work: None)
