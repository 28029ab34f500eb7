import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyward.policy.globs import concrete, fixed, matches, meet

patterns = st.text(alphabet="ab*?:", max_size=8)


def by_regular_expression(pattern: str, text: str) -> bool:
    """The same question, asked of the standard library."""
    parts = {"*": ".*", "?": "."}
    return (
        re.fullmatch("".join(parts.get(it, re.escape(it)) for it in pattern), text, re.DOTALL)
        is not None
    )


@given(patterns, st.text(alphabet="ab:\n", max_size=8))
def test_a_pattern_matches_what_the_regular_expression_does(pattern: str, text: str) -> None:
    assert matches(pattern, text) == by_regular_expression(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text", "does"),
    [
        ("*aa*aa*", "aaa", False),
        ("*aa*aa*", "aaaa", True),
        ("ab*ba", "aba", False),
        ("a?*?b", "ab", False),
        ("a?*?b", "axyb", True),
        ("?", "", False),
        ("", "", True),
    ],
)
def test_no_character_is_matched_twice(pattern: str, text: str, *, does: bool) -> None:
    assert matches(pattern, text) is does


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("app-*", "*-prod", "app-*-prod"),
        ("app-*", "web-*", None),
        ("a?c", "a*", "a?c"),
        ("a?c", "?b*", "abc"),
        ("??", "*bb*", "bb"),
        ("?", "*aa*", None),
        ("a", "a", "a"),
        ("a?", "?b", "ab"),
        ("ab", "a", None),
    ],
)
def test_patterns_meet_in_what_both_match(one: str, other: str, together: str | None) -> None:
    assert meet(one, other) == together
    assert meet(other, one) == together


@given(patterns)
def test_a_pattern_matches_its_own_example(pattern: str) -> None:
    assert matches(pattern, concrete(pattern))


@given(patterns, patterns)
def test_what_two_patterns_have_in_common_matches_both(one: str, other: str) -> None:
    together = meet(one, other)
    if together is not None:
        assert matches(one, concrete(together))
        assert matches(other, concrete(together))


SHORT = ["".join(it) for length in range(5) for it in product("ab:", repeat=length)]


@given(st.text(alphabet="ab*?", max_size=4), st.text(alphabet="ab*?", max_size=4))
def test_patterns_with_a_text_in_common_meet(one: str, other: str) -> None:
    if any(matches(one, it) and matches(other, it) for it in SHORT):
        assert meet(one, other) is not None


def test_what_a_pattern_prescribes_is_what_is_no_wildcard() -> None:
    assert fixed("a*b?c") == 3


def test_many_wildcards_take_no_time() -> None:
    assert not matches("*a" * 2000 + "b", "a" * 4000)
