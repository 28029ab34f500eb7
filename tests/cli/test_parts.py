"""One file of a folder, one or more parameters of the store: there and back as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyward.compiling import Parameter, compiled
from keyward.gateways.ssm import ADVANCED_BYTES, STANDARD_BYTES
from keyward.settings import PREFIX
from keyward_cli.folder import changes
from keyward_cli.parts import joined, spread, writes
from tests.builders import NOW

DEVELOPER = f"{PREFIX}/permission-sets/Developer"


def a_policy(*, buckets: int, note: str = "") -> dict[str, Any]:
    """About 100 bytes for each bucket."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "$comment": note,
                "Effect": "Deny",
                "Action": "s3:DeleteObject",
                "Resource": f"arn:aws:s3:::bucket-{number}/*",
            }
            for number in range(buckets)
        ],
    }


def an_entry(buckets: int, **fields: object) -> str:
    entry = {"$comment": "why", "session_hours": 4, "inline_policy": a_policy(buckets=buckets)}
    return json.dumps(entry | fields, indent=2)


def parameters(values: dict[str, str]) -> dict[str, Parameter]:
    return {name: Parameter(name=name, version=1, value=value) for name, value in values.items()}


def pushed(
    value: str | None, store: dict[str, str], *, most_bytes: int = STANDARD_BYTES
) -> dict[str, str]:
    """The store after a push."""
    what = writes(DEVELOPER, value, parameters(store), most_bytes=most_bytes)
    return {
        name: text for name, text in (store | dict(what.puts)).items() if name not in what.deletes
    }


def differ(value: str, store: dict[str, str]) -> list[str]:
    folder = parameters({DEVELOPER: value})
    return [it.name for it in changes(folder, joined(parameters(store), folder=folder))]


@pytest.mark.parametrize(
    ("buckets", "most_bytes", "number"),
    [
        (0, STANDARD_BYTES, 1),
        (20, STANDARD_BYTES, 1),
        (45, STANDARD_BYTES, 3),
        (100, STANDARD_BYTES, 4),
        (40, ADVANCED_BYTES, 1),
        (100, ADVANCED_BYTES, 3),
    ],
)
def test_only_what_is_too_long_for_one_parameter_is_spread(
    buckets: int, most_bytes: int, number: int
) -> None:
    found = spread(DEVELOPER, an_entry(buckets), most_bytes=most_bytes)
    assert len(found) == number
    assert all(len(text.encode()) <= most_bytes for text in found.values())
    assert list(found) == [
        *(f"{DEVELOPER}/inline-policy/{part}" for part in range(1, number)),
        DEVELOPER,
    ]


def test_other_settings_are_never_spread() -> None:
    value = json.dumps({"inline_policy": {"x": "y" * 9_000}})
    assert list(spread(f"{PREFIX}/settings", value)) == [f"{PREFIX}/settings"]


@settings(max_examples=60, deadline=None)
@given(
    buckets=st.integers(0, 120),
    note=st.text(max_size=40) | st.just(" " * 50) | st.just("é " * 20),
    field=st.sampled_from(["description", "$comment more"]),
    text=st.text(min_size=1, max_size=300),
    most_bytes=st.sampled_from([STANDARD_BYTES, ADVANCED_BYTES]),
)
def test_what_is_pushed_comes_back_as_it_was(
    buckets: int, note: str, field: str, text: str, most_bytes: int
) -> None:
    policy = a_policy(buckets=buckets, note=note)
    value = an_entry(0, inline_policy=policy, **{field: text})
    store = pushed(value, {}, most_bytes=most_bytes)
    assert all(len(it.encode()) <= ADVANCED_BYTES for it in store.values())
    assert not any(it != it.strip() for name, it in store.items() if name != DEVELOPER)
    back = joined(parameters(store))
    assert list(back) == [DEVELOPER]
    assert json.loads(back[DEVELOPER].value) == json.loads(value)
    assert differ(value, store) == []
    assert pushed(value, store, most_bytes=most_bytes) == store


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(0, 120), min_size=2, max_size=5))
def test_whatever_was_there_before_a_push_makes_the_store_as_the_folder(sizes: list[int]) -> None:
    store: dict[str, str] = {}
    for size in sizes:
        store = pushed(an_entry(size), store)
        assert differ(an_entry(size), store) == []
        assert json.loads(joined(parameters(store))[DEVELOPER].value) == json.loads(an_entry(size))
    assert pushed(None, store) == {}


def test_what_is_pushed_is_accepted_whole() -> None:
    store = pushed(an_entry(60), {})
    found = compiled(parameters(store), previous=None, rules=(), now=NOW)
    assert found.refused == ()
    (entry,) = found.accepted.permission_sets.values()
    policy = a_policy(buckets=60)
    for statement in policy["Statement"]:
        del statement["$comment"]
    assert entry == {"session_hours": 4, "inline_policy": policy}


def test_a_push_puts_parts_before_the_entry_and_takes_the_entry_away_before_them() -> None:
    store = pushed(an_entry(100), {})
    parts = [f"{DEVELOPER}/inline-policy/{number}" for number in (1, 2, 3)]
    other = {name: Parameter(name=name, version=1, value="{}") for name in store}
    assert list(writes(DEVELOPER, an_entry(100), other, most_bytes=4096).puts) == [
        *parts,
        DEVELOPER,
    ]
    assert writes(DEVELOPER, None, parameters(store), most_bytes=4096).deletes == (
        DEVELOPER,
        *parts,
    )


def test_a_push_that_broke_off_is_seen_and_mended_by_the_next() -> None:
    before = pushed(an_entry(100), {})
    what = writes(DEVELOPER, an_entry(60), parameters(before), most_bytes=STANDARD_BYTES)
    for done in range(1, len(what.puts) + 1):
        broken = before | dict(list(what.puts.items())[:done])
        if done < len(what.puts):
            refused = compiled(parameters(broken), previous=None, rules=(), now=NOW).refused
            assert refused
        assert differ(an_entry(60), broken) == [DEVELOPER]
        assert pushed(an_entry(60), broken) == pushed(an_entry(60), {})


@pytest.mark.parametrize("value", [an_entry(0), "{", "[]", '{"inline_policy": 1}'])
@pytest.mark.parametrize("part", ["{", "[]", "{}"])
def test_parts_that_are_in_the_way_are_a_difference(value: str, part: str) -> None:
    store = {DEVELOPER: value, f"{DEVELOPER}/inline-policy/2": part}
    ours = an_entry(0)
    assert differ(ours, store) == [DEVELOPER]
    assert pushed(ours, store) == pushed(ours, {})


def test_parts_without_an_entry_stand_for_themselves() -> None:
    part = f"{DEVELOPER}/inline-policy/1"
    assert list(joined(parameters({part: "{}"}))) == [part]
    assert differ(an_entry(100), {part: "{}"}) == [DEVELOPER]
