"""A sweep of Identity Center: what it reads, what it costs, what it has looked at."""

from __future__ import annotations

import pytest

from tests.faults.holdings import Guard, a_guard

USER = "idc-assignment-to-user"


def fill(guard: Guard, *, accounts: int, sets: int, groups: int, users: int, wide: int) -> None:
    """Each group holds one set in `wide` accounts; each user is in one group; a few hold more."""
    estate = guard.holdings
    numbers = [estate.account() for _ in range(accounts)]
    arns = [estate.permission_set(f"Set{number}") for number in range(sets)]
    ids = [estate.group(f"Group{number}") for number in range(groups)]
    for number, group in enumerate(ids):
        for account in estate.random.sample(numbers, min(wide, accounts)):
            estate.hold(account, arns[number % sets], group)
    for number in range(users):
        estate.user(f"user{number}", ids[number % groups])
    for user in list(estate.users.values())[:3]:
        estate.assign(numbers[0], arns[0], user)


def test_nothing_at_all_is_read_to_its_end() -> None:
    guard = a_guard()
    swept = guard.sweep()
    assert swept.ok
    assert guard.held() == set()


@pytest.mark.parametrize(
    ("accounts", "sets", "groups", "users", "wide"),
    [(12, 6, 8, 20, 5), (100, 10, 30, 150, 60), (1000, 20, 60, 1500, 400)],
)
def test_a_sweep_costs_little_more_than_it_must(
    accounts: int, sets: int, groups: int, users: int, wide: int
) -> None:
    guard = a_guard()
    fill(guard, accounts=accounts, sets=sets, groups=groups, users=users, wide=wide)
    guard.sweep("first")
    guard.holdings.calls.clear()
    swept = guard.sweep("second")
    way = guard.state("second").way
    assert way is not None
    least = guard.holdings.least_calls(way.value)
    made = sum(guard.holdings.calls.values())
    print(  # noqa: T201 - the figures are what people want of it
        f"{accounts} accounts: {way}, {made} calls, least {least}, x{made / least:.3f}"
    )
    assert guard.held("second") == guard.holdings.everything()
    assert made <= 1.25 * least
    assert swept.calls == made
