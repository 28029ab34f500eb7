from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.rules.idc_permission_set_not_provisioned import RULE
from tests.builders import (
    DEVELOPER,
    MEMBER,
    OTHER_MEMBER,
    a_center_hint,
    a_check,
    a_permission_set,
    reasons,
)

CHECK = a_check(permissionSetName="Developer")


def test_a_set_that_every_account_has_as_it_is_is_compliant() -> None:
    subject = a_permission_set(attributes=DEVELOPER, accounts=(MEMBER,))
    assert reasons(RULE, subject, CHECK) == []


def test_accounts_that_hold_an_older_version_are_objected_to() -> None:
    subject = a_permission_set(attributes=DEVELOPER, stale_accounts=(OTHER_MEMBER, MEMBER))
    (reason,) = reasons(RULE, subject, CHECK)
    assert (reason.code, reason.maybe) == ("stale", False)
    assert reason.text == "2 accounts hold an older version of permission set Developer"
    assert reason.details == (MEMBER, OTHER_MEMBER)


def test_one_account_is_called_one() -> None:
    subject = a_permission_set(attributes=DEVELOPER, stale_accounts=(MEMBER,))
    (reason,) = reasons(RULE, subject, CHECK)
    assert reason.text.startswith("1 account holds")


def test_of_very_many_accounts_the_first_twenty_are_named() -> None:
    accounts = tuple(f"{number:012}" for number in range(21))
    (reason,) = reasons(
        RULE, a_permission_set(attributes=DEVELOPER, stale_accounts=accounts), CHECK
    )
    assert reason.details == (*accounts[:20], "and 1 more")
    (reason,) = reasons(
        RULE, a_permission_set(attributes=DEVELOPER, stale_accounts=accounts[:20]), CHECK
    )
    assert reason.details == accounts[:20]


def test_sets_outside_the_catalogue_count_as_well() -> None:
    subject = a_permission_set("Contractors", attributes=DEVELOPER, stale_accounts=(MEMBER,))
    assert reasons(RULE, subject, CHECK)


def test_what_was_not_read_may_be_so() -> None:
    (reason,) = reasons(RULE, a_permission_set(None), CHECK)
    assert (reason.code, reason.maybe) == ("stale", True)


def test_a_set_that_is_gone_is_held_by_nobody() -> None:
    assert reasons(RULE, a_permission_set(exists=False, arn=None), CHECK) == []


def test_no_event_raises_it_but_the_sweep_does() -> None:
    assert RULE.concerns(CHECK)
    assert not RULE.concerns(a_center_hint("UpdatePermissionSet"))


def test_it_is_medium_and_provisions_the_set() -> None:
    assert RULE.settings().severity is Severity.MEDIUM
    assert RULE.enforcement is Enforcement.PROVISION_PERMISSION_SET
    assert RULE.needs == "state"
