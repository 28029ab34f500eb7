"""Denies of live sessions stand in an inline policy, beside whatever else it holds."""

import json
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from keyward.livedeny import MARK, LiveDeny, with_denies
from keyward.model import PermissionSetAttributes
from tests.builders import MEMBER, NOW, OTHER_MEMBER

USER = "9067642ac7-11111111-2222-3333-4444-555555555555"
ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}


def a_deny(account: str = MEMBER, user: str = USER) -> LiveDeny:
    return LiveDeny(account=account, user_id=user, until=NOW + timedelta(hours=4))


def statements(attributes: PermissionSetAttributes) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(attributes.inline_policy or "{}").get(
        "Statement", []
    )
    return found


def with_inline(*found: object) -> PermissionSetAttributes:
    return PermissionSetAttributes(
        inline_policy=json.dumps({"Version": "2012-10-17", "Statement": list(found)})
    )


def test_a_set_without_inline_policy_gets_one_that_only_denies() -> None:
    (denied,) = statements(with_denies(PermissionSetAttributes(), [a_deny()]))
    assert denied["Effect"] == "Deny"
    assert denied["Condition"] == {
        "StringEquals": {"identitystore:UserId": USER, "aws:PrincipalAccount": MEMBER}
    }


def test_what_the_policy_held_before_stays() -> None:
    found = statements(with_denies(with_inline(ALLOW), [a_deny(), a_deny(OTHER_MEMBER)]))
    assert found[0] == ALLOW
    assert len(found) == 3


def test_a_deny_that_nobody_recorded_goes() -> None:
    forged = {"Sid": f"{MARK}0123456789abcdef", "Effect": "Deny", "Action": "*", "Resource": "*"}
    assert statements(with_denies(with_inline(ALLOW, forged), [])) == [ALLOW]


def test_once_all_are_lifted_the_policy_is_what_it_was() -> None:
    before = with_inline(ALLOW)
    lifted = with_denies(with_denies(before, [a_deny()]), [])
    assert json.loads(lifted.inline_policy or "") == json.loads(before.inline_policy or "")
    assert with_denies(with_denies(PermissionSetAttributes(), [a_deny()]), []).inline_policy is None


def test_a_policy_without_denies_is_not_rewritten() -> None:
    before = PermissionSetAttributes(inline_policy=' {"Statement":  []}')
    assert with_denies(before, []) is before


def test_what_is_no_policy_is_left_alone() -> None:
    broken = PermissionSetAttributes(inline_policy="[1, 2")
    assert with_denies(broken, [a_deny()]) is broken


@given(
    users=st.lists(st.uuids().map(str), max_size=4, unique=True),
    order=st.randoms(use_true_random=False),
)
def test_the_order_of_denies_makes_no_other_policy(users: list[str], order: object) -> None:
    denies = [a_deny(user=user) for user in users]
    shuffled = list(denies)
    order.shuffle(shuffled)  # type: ignore[attr-defined]  # a random.Random
    assert with_denies(with_inline(ALLOW), denies) == with_denies(with_inline(ALLOW), shuffled)


def test_denying_twice_changes_nothing() -> None:
    once = with_denies(with_inline(ALLOW), [a_deny()])
    assert with_denies(once, [a_deny()]) == once
