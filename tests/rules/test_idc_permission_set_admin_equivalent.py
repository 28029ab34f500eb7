import json
from typing import Any

import pytest

from keyward.actions import Enforcement
from keyward.findings import Reason, Severity
from keyward.model import CustomerPolicy, PermissionSet, PermissionSetAttributes, PolicyDocument
from keyward.policy.sentinels import SENTINELS
from keyward.rules.idc_permission_set_admin_equivalent import RULE
from keyward.text import clean
from tests.builders import (
    ADMINISTRATOR_ARN,
    CATALOGUE,
    DEVELOPER,
    READ_ONLY_ARN,
    a_center_hint,
    a_check,
    a_permission_set,
    reasons,
)

ATTACHED = a_center_hint("AttachManagedPolicyToPermissionSet")
CHECK = a_check(permissionSetName="Developer")
TEAM = CustomerPolicy(name="extra", path="/team/")


def text(*actions: str, effect: str = "Allow", sid: str | None = None) -> str:
    statement = {"Effect": effect, "Action": list(actions), "Resource": "*"}
    statements = [statement | ({} if sid is None else {"Sid": sid})]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def managed(name: str, *actions: str, **others: Any) -> PolicyDocument:
    """A managed policy as read; an AWS managed one as an event names it where it has no actions."""
    arn = f"arn:aws:iam::aws:policy/{name}"
    return PolicyDocument(
        name=name.rpartition("/")[2], arn=arn, text=text(*actions, **others) if actions else ""
    )


def inline(*actions: str, **others: Any) -> PolicyDocument:
    return PolicyDocument(name="inline policy", text=text(*actions, **others))


EVERYTHING = managed("AdministratorAccess", "*", sid="All")
READING = managed("ReadOnlyAccess", "s3:GetObject")
PASSING = managed("Passing", "iam:PassRole")
MANAGING = managed("Managing", "iam:AttachUserPolicy")
RUNNING = inline("lambda:CreateFunction", "lambda:InvokeFunction")


def read(
    added: PolicyDocument | CustomerPolicy | None,
    *others: PolicyDocument,
    name: str = "Developer",
    **known: Any,
) -> PermissionSet:
    """A permission set that was read, with the policy that was put on and others."""
    own = (added,) if isinstance(added, PolicyDocument) else ()
    found: dict[str, Any] = {"attributes": DEVELOPER, "documents": (*own, *others), "added": added}
    return a_permission_set(name, **(found | known))


def found(subject: PermissionSet, **settings: object) -> list[Reason]:
    return reasons(RULE, subject, ATTACHED, **settings)


# ------------------------------------------------------------------ as read


@pytest.mark.parametrize("policy", [EVERYTHING, inline("*"), inline("iam:AttachUserPolicy")])
def test_a_policy_that_grants_that_much_is_objected_to(policy: PolicyDocument) -> None:
    (reason,) = found(read(policy, READING))
    assert reason.code == f"admin:{policy.arn or 'inline policy'}"
    assert (reason.maybe, reason.report_only, reason.severity) == (False, False, None)


def test_the_reason_names_policy_way_and_statement() -> None:
    (reason,) = found(read(EVERYTHING, READING))
    assert reason.text == (
        "policy AdministratorAccess on permission set Developer: Can do everything, iam:* "
        "included. (everything; AdministratorAccess: All)"
    )
    assert reason.details[0] in reason.text
    assert not any("attach-user-policy" in line for line in reason.details)


def test_a_policy_that_leads_nowhere_is_compliant() -> None:
    assert found(read(READING)) == []
    assert found(read(inline("s3:*", "ec2:Describe*"), READING)) == []


def test_what_it_completes_counts_as_its_own() -> None:
    assert found(read(PASSING, READING)) == []
    (reason,) = found(read(PASSING, RUNNING))
    assert "pass-role-lambda" in reason.text
    (reason,) = found(read(RUNNING, PASSING))
    assert reason.code == "admin:inline policy"


def test_what_another_grants_is_not_its_fault() -> None:
    assert found(read(READING, EVERYTHING)) == []
    assert found(read(inline("s3:*"), PASSING, managed("Running", "lambda:*"))) == []


def test_that_another_grants_it_as_well_excuses_nothing() -> None:
    assert found(read(EVERYTHING, inline("*")))
    assert found(read(inline("*"), EVERYTHING))


def test_a_boundary_that_lets_it_not_through_makes_it_compliant() -> None:
    assert found(read(EVERYTHING, boundary_document=READING)) == []
    assert found(read(EVERYTHING, boundary_document=managed("PowerUserAccess", "*")))


def test_a_deny_counts_whichever_policy_has_it() -> None:
    denying = managed("Guard", "*", effect="Deny")
    assert found(read(EVERYTHING, denying)) == []


def test_a_policy_that_is_off_again_is_compliant() -> None:
    assert found(read(None, READING)) == []
    assert found(read(None, EVERYTHING)) == []


def test_settings_say_which_ways_count() -> None:
    commanding, escalating = inline("ssm:SendCommand"), inline("iam:AttachUserPolicy")
    assert found(read(commanding)) == []
    assert found(read(commanding), reach="indirect")
    assert found(read(escalating), reach="admin") == []


def test_what_cannot_be_read_is_told_and_stays() -> None:
    unreadable = PolicyDocument(name="inline policy", text='{"Statement": "none"}')
    (reason,) = found(read(unreadable, READING))
    assert (reason.code, reason.report_only) == ("admin:inline policy", True)
    assert "can't read" in reason.text


def test_a_managed_policy_that_could_not_be_found_is_told_unless_it_is_known_to_be_harmless() -> (
    None
):
    (reason,) = found(read(managed("NotKnownToAnybody"), READING))
    assert reason.report_only
    assert found(read(managed("AmazonS3ReadOnlyAccess"), READING)) == []


def test_what_cannot_be_read_in_part_hides_nothing() -> None:
    statements = [json.loads(text("*"))["Statement"][0], {"Effect": "Perhaps"}]
    partly = PolicyDocument(name="inline policy", text=json.dumps({"Statement": statements}))
    (reason,) = found(read(partly))
    assert not reason.report_only


# ------------------------------------------------------------------ a second opinion


OPINION = ("One of the actions in the statement with index: 0.",)


def test_what_access_analyzer_alone_objects_to_is_told_and_stays() -> None:
    (reason,) = found(read(PASSING, READING, second_opinion=OPINION))
    assert reason.code == "second-opinion:arn:aws:iam::aws:policy/Passing"
    assert (reason.report_only, reason.maybe, reason.severity) == (True, False, Severity.MEDIUM)
    assert reason.text.startswith("policy Passing on permission set Developer may make")
    assert "IAM Access Analyzer" in reason.text
    (of_inline,) = found(read(inline("iam:PassRole"), second_opinion=OPINION))
    assert of_inline.code == "second-opinion:inline policy"


def test_its_reasons_stand_above_what_it_was_asked() -> None:
    (reason,) = found(read(PASSING, second_opinion=OPINION))
    opinion, *asked = reason.details
    assert opinion == OPINION[0]
    calls = [call for line in asked for call in line.removeprefix("asked about ").split(", ")]
    assert calls == list(SENTINELS)
    assert all(line == clean(line) for line in reason.details)


def test_what_keyward_objects_to_itself_needs_no_second_opinion() -> None:
    alone, with_it = (found(read(EVERYTHING, second_opinion=it)) for it in ((), OPINION))
    assert with_it == alone
    assert found(read(PASSING, RUNNING, second_opinion=OPINION)) == found(read(PASSING, RUNNING))


def test_what_keyward_cannot_read_is_told_with_what_access_analyzer_says() -> None:
    unreadable = PolicyDocument(name="inline policy", text='{"Statement": "none"}')
    (reason,) = found(read(unreadable, second_opinion=OPINION))
    assert (reason.code, reason.report_only) == ("admin:inline policy", True)
    assert reason.details[0] == OPINION[0]
    (unasked,) = found(read(unreadable))
    assert unasked.details == ()


@pytest.mark.parametrize(
    ("reach", "is_told"), [("indirect", True), ("escalation", True), ("admin", False)]
)
def test_it_is_heard_where_ways_to_make_oneself_administrator_count(
    reach: str, *, is_told: bool
) -> None:
    assert bool(found(read(PASSING, second_opinion=OPINION), reach=reach)) is is_told


def test_it_is_not_heard_about_what_the_catalogue_names() -> None:
    wanted = PermissionSetAttributes(managed_policies=(PASSING.arn or "",))
    assert found(read(PASSING, second_opinion=OPINION, catalogue={"Developer": wanted})) == []


# ------------------------------------------------------------------ what may be so


def test_a_policy_that_the_catalogue_names_for_that_set_is_compliant() -> None:
    assert found(read(EVERYTHING, name="Administrator")) == []
    assert found(read(EVERYTHING, name="Developer"))
    assert found(read(EVERYTHING, name="Administrator", catalogue={}))


def test_a_listed_administrator_is_one_whatever_else_is_put_on() -> None:
    assert found(read(inline("*"), EVERYTHING, name="Administrator")) == []
    assert found(read(inline("*"), READING, name="Administrator"))


def test_ways_that_the_catalogues_own_policies_open_are_meant_and_no_others() -> None:
    wanted = PermissionSetAttributes(managed_policies=(PASSING.arn or "", MANAGING.arn or ""))
    known: dict[str, Any] = {"name": "Platform", "catalogue": {"Platform": wanted}}
    assert found(read(inline("iam:AttachUserPolicy"), MANAGING, PASSING, **known)) == []
    (reason,) = found(read(RUNNING, MANAGING, PASSING, **known))
    assert "pass-role-lambda" in reason.text
    assert not any("attach-user-policy" in line for line in reason.details)


@pytest.mark.parametrize(("put", "is_listed"), [("iam:*", True), ("*", False)])
def test_the_inline_policy_of_the_catalogue_is_compliant_as_it_stands_there(
    put: str, *, is_listed: bool
) -> None:
    wanted = PermissionSetAttributes(inline_policy=text("iam:*").replace(" ", ""))
    subject = read(inline(put), name="Support", catalogue={"Support": wanted})
    assert (found(subject) == []) is is_listed


@pytest.mark.parametrize("name", ["AWSAdministratorAccess", "AWSPowerUserAccess"])
def test_control_towers_administrators_are_compliant(name: str) -> None:
    assert found(read(EVERYTHING, name=name)) == []
    assert found(read(EVERYTHING, name=name), admin_sets=())
    assert found(a_permission_set(name, added=EVERYTHING)) == []


def test_control_towers_other_sets_are_judged_as_any() -> None:
    assert found(read(EVERYTHING, name="AWSReadOnlyAccess"))


# ------------------------------------------------------------------ customer managed policies


def test_a_customer_managed_policy_is_told_and_not_taken_off() -> None:
    (reason,) = found(read(TEAM))
    assert (reason.code, reason.report_only, reason.maybe) == ("admin:/team/extra", True, False)
    assert reason.severity is Severity.MEDIUM
    assert "customer managed policy /team/extra" in reason.text
    (graver,) = found(read(TEAM), customer_severity=Severity.HIGH)
    assert graver.severity is Severity.HIGH


@pytest.mark.parametrize("name", [None, "Developer", "Contractors"])
def test_a_customer_managed_policy_may_be_anything_until_it_is_read(name: str | None) -> None:
    (reason,) = found(a_permission_set(name, added=TEAM))
    assert (reason.code, reason.maybe) == ("admin:/team/extra", True)


def test_a_customer_managed_policy_of_the_catalogue_is_compliant() -> None:
    catalogue = {"Developer": PermissionSetAttributes(customer_policies=(TEAM,))}
    assert found(read(TEAM, catalogue=catalogue)) == []
    assert found(a_permission_set(added=TEAM, catalogue=catalogue)) == []
    other = {
        "Developer": PermissionSetAttributes(customer_policies=(CustomerPolicy(name="extra"),))
    }
    assert found(read(TEAM, catalogue=other))


# ------------------------------------------------------------------ as claimed


@pytest.mark.parametrize(
    ("policy", "is_looked_at"),
    [
        (managed("AdministratorAccess"), True),
        (managed("IAMFullAccess"), True),
        (managed("NotKnownToAnybody"), True),
        (managed("AmazonS3ReadOnlyAccess"), False),
        (
            PolicyDocument(name="AmazonS3ReadOnlyAccess", text="", arn="arn:aws:iam::1:policy/X"),
            True,
        ),
        (inline("iam:PassRole"), True),
        (inline("*"), True),
        (inline("s3:GetObject"), False),
        (PolicyDocument(name="inline policy", text=""), True),
    ],
)
def test_what_can_matter_at_all_is_looked_at(policy: PolicyDocument, *, is_looked_at: bool) -> None:
    claims = found(a_permission_set(None, added=policy))
    assert [(reason.code, reason.maybe) for reason in claims] == (
        [(f"admin:{policy.arn or 'inline policy'}", True)] if is_looked_at else []
    )


def test_what_the_catalogue_names_is_not_looked_at_where_the_set_is_known() -> None:
    added = managed("AdministratorAccess")
    assert found(a_permission_set("Administrator", added=added)) == []
    assert found(a_permission_set("Developer", added=added))
    assert found(a_permission_set(None, added=added))


def test_a_set_that_is_gone_grants_nothing() -> None:
    gone = a_permission_set(exists=False, arn=None, added=EVERYTHING)
    assert found(gone) == []
    assert reasons(RULE, gone, CHECK) == []


# ------------------------------------------------------------------ the sweep


def test_the_sweep_finds_each_policy_that_nobody_listed() -> None:
    subject = read(None, EVERYTHING, inline("iam:AttachUserPolicy"), READING)
    codes = [reason.code for reason in reasons(RULE, subject, CHECK)]
    assert codes == [f"admin:{ADMINISTRATOR_ARN}", "admin:inline policy"]


def test_the_sweep_finds_customer_managed_policies() -> None:
    attributes = PermissionSetAttributes(customer_policies=(TEAM,))
    subject = a_permission_set("Contractors", attributes=attributes, documents=())
    (reason,) = reasons(RULE, subject, CHECK)
    assert (reason.code, reason.report_only) == ("admin:/team/extra", True)


def test_the_sweep_finds_nothing_where_all_is_listed() -> None:
    assert reasons(RULE, read(None, EVERYTHING, name="Administrator"), CHECK) == []
    assert reasons(RULE, read(None, READING), CHECK) == []


def test_the_sweep_looks_at_every_set_that_may_not_be_administrator() -> None:
    (reason,) = reasons(RULE, a_permission_set(None), CHECK)
    assert (reason.code, reason.maybe) == ("admin", True)
    assert reasons(RULE, a_permission_set("AWSAdministratorAccess"), CHECK) == []


def test_an_event_that_puts_nothing_on_is_not_looked_at() -> None:
    assert found(a_permission_set(None)) == []


def test_it_is_critical_and_takes_that_policy_off() -> None:
    assert RULE.settings().severity is Severity.CRITICAL
    assert RULE.enforcement is Enforcement.DETACH_POLICY
    assert (RULE.needs, RULE.patience_seconds) == ("state", 0)
    assert CATALOGUE["Developer"].managed_policies == (READ_ONLY_ARN,)
