"""Permission sets and assignments: what an event claims, and what Identity Center says now."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.iam.models import AWSManagedPolicy, iam_backends

from keyward import facts
from keyward.actions import RequestKind
from keyward.catalogue import catalogue_of
from keyward.errors import EventError, GatewayError
from keyward.facts import identity_center
from keyward.gateways.reach import Reach
from keyward.model import (
    AccountAssignment,
    Boundary,
    CustomerPolicy,
    Hint,
    OfIdentityCenter,
    PermissionSet,
    PolicyDocument,
    PrincipalKind,
    Subject,
)
from tests.builders import (
    CATALOGUE,
    GROUP_ID,
    HUB,
    INSTANCE,
    MEMBER,
    NOW,
    PERSON_ID,
    READ_ONLY_ARN,
    SET_ARN,
    a_center_hint,
    a_check,
)
from tests.flow import world as organization
from tests.flow.center import DEVELOPER, Center, a_center
from tests.flow.world import World, a_world

OF_THE_SET: dict[str, object] = {"instanceArn": INSTANCE, "permissionSetArn": SET_ARN}
CHANGES = [
    event
    for source, event in identity_center._READERS
    if event
    not in {
        "CreatePermissionSet",
        "TagResource",
        "UntagResource",
        "CreateAccountAssignment",
        "AssociateProfile",
    }
]
WHOLE: dict[str, object] = OF_THE_SET | {
    "managedPolicyArn": READ_ONLY_ARN,
    "customerManagedPolicyReference": {"name": "team", "path": "/"},
    "inlinePolicy": "{}",
    "permissionsBoundary": {"managedPolicyArn": READ_ONLY_ARN},
}
ASSIGNED: dict[str, object] = OF_THE_SET | {
    "targetId": MEMBER,
    "targetType": "AWS_ACCOUNT",
    "principalType": "USER",
    "principalId": PERSON_ID,
}
INLINE = json.dumps({"Version": "2012-10-17", "Statement": []})
NEVER_MADE = "ps-0000000000000000"


def only(event: str, **parameters: object) -> Subject:
    (subject,) = facts.claimed(a_center_hint(event, parameters=parameters), CATALOGUE)
    return subject


def a_set(event: str, **parameters: object) -> PermissionSet:
    subject = only(event, **parameters)
    assert isinstance(subject, PermissionSet)
    return subject


# ------------------------------------------------------------------ claimed: permission sets


def test_a_created_set_has_its_name_from_the_request_and_its_arn_from_the_response() -> None:
    hint = a_center_hint(
        "CreatePermissionSet",
        parameters={
            "instanceArn": INSTANCE,
            "name": "Developer",
            "description": "Builds",
            "sessionDuration": "PT4H",
        },
        response={"permissionSet": {"name": "Developer", "permissionSetArn": SET_ARN}},
    )
    assert facts.claimed(hint, CATALOGUE) == (
        PermissionSet(
            account=HUB,
            instance_arn=INSTANCE,
            arn=SET_ARN,
            name="Developer",
            claimed={"session_seconds": 14400, "description": "Builds"},
            catalogue=CATALOGUE,
            since=NOW,
        ),
    )


def test_a_created_set_without_a_response_is_known_by_name() -> None:
    made = a_set("CreatePermissionSet", name="Developer")
    assert (made.name, made.arn) == ("Developer", None)


def test_a_created_set_that_says_nothing_of_its_session_has_the_default() -> None:
    assert a_set("CreatePermissionSet", name="X").claimed == {"session_seconds": 3600}


def test_a_created_set_that_tells_neither_name_nor_arn_goes_to_a_human() -> None:
    with pytest.raises(EventError, match="lacks name: look by hand"):
        only("CreatePermissionSet", instanceArn=INSTANCE)


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        ("PT1H", 3600),
        ("PT600M", 36000),
        ("PT1H30M", 5400),
        ("P1D", 86400),
        ("twelve hours", None),
        (43200, None),
    ],
)
def test_sessions_are_durations_and_what_is_none_is_not_known(
    duration: object, seconds: int | None
) -> None:
    changed = a_set("UpdatePermissionSet", **OF_THE_SET, sessionDuration=duration)
    assert changed.claimed == {"session_seconds": seconds}


def test_an_edit_claims_what_it_changes_and_nothing_else() -> None:
    assert a_set("UpdatePermissionSet", **OF_THE_SET).claimed == {}
    changed = a_set("UpdatePermissionSet", **OF_THE_SET, description="Mine", relayState="")
    assert changed.claimed == {"description": "Mine", "relay_state": ""}


@pytest.mark.parametrize("event", CHANGES)
def test_each_change_names_the_set_by_its_arn(event: str) -> None:
    changed = a_set(event, **WHOLE)
    assert (changed.arn, changed.name, changed.instance_arn) == (SET_ARN, None, INSTANCE)
    assert (changed.since, changed.catalogue) == (NOW, CATALOGUE)


@pytest.mark.parametrize("event", CHANGES)
def test_a_change_that_tells_no_set_goes_to_a_human(event: str) -> None:
    parameters = {name: value for name, value in WHOLE.items() if name != "permissionSetArn"}
    with pytest.raises(EventError, match="lacks permissionSetArn"):
        only(event, **parameters)


def test_the_old_consoles_id_is_completed_where_the_instance_is_told() -> None:
    told = a_set("DeletePermissionsPolicy", permissionSetId=NEVER_MADE, instanceArn=INSTANCE)
    assert told.arn == f"{SET_ARN.rpartition('/')[0]}/{NEVER_MADE}"
    assert a_set("DeletePermissionsPolicy", permissionSetId=NEVER_MADE).arn == NEVER_MADE


def test_a_policy_that_is_put_on_is_claimed_as_far_as_it_is_told() -> None:
    managed = a_set(
        "AttachManagedPolicyToPermissionSet", **OF_THE_SET, managedPolicyArn=READ_ONLY_ARN
    )
    assert managed.added == PolicyDocument(name="ReadOnlyAccess", text="", arn=READ_ONLY_ARN)
    customer = a_set(
        "AttachCustomerManagedPolicyReferenceToPermissionSet",
        **OF_THE_SET,
        customerManagedPolicyReference={"name": "team"},
    )
    assert customer.added == CustomerPolicy(name="team", path="/")
    for event, parameter in (
        ("PutInlinePolicyToPermissionSet", "inlinePolicy"),
        ("PutPermissionsPolicy", "policyDocument"),
    ):
        inline = a_set(event, **OF_THE_SET, **{parameter: INLINE})
        assert inline.added == PolicyDocument(name="inline policy", text=INLINE)


def test_an_inline_policy_that_is_not_told_is_claimed_as_unreadable() -> None:
    put = a_set("PutInlinePolicyToPermissionSet", **OF_THE_SET, inlinePolicy={"masked": True})
    assert put.added == PolicyDocument(name="inline policy", text="")


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ("AttachManagedPolicyToPermissionSet", "managedPolicyArn"),
        ("AttachCustomerManagedPolicyReferenceToPermissionSet", "customerManagedPolicyReference"),
    ],
)
def test_a_policy_that_is_not_named_goes_to_a_human(event: str, field: str) -> None:
    with pytest.raises(EventError, match=f"lacks {field}"):
        only(event, **OF_THE_SET)


def test_tags_are_claimed_by_their_keys() -> None:
    tagged = a_set("TagResource", resourceArn=SET_ARN, tags=[{"key": "team", "value": "x"}])
    assert (tagged.arn, tagged.claimed) == (SET_ARN, {"tag_keys": ("team",)})
    assert a_set("UntagResource", resourceArn=SET_ARN, tagKeys=["a", "b"]).claimed == {
        "tag_keys": ("a", "b")
    }


def test_tags_that_are_not_told_are_not_claimed_to_be_none() -> None:
    assert a_set("TagResource", resourceArn=SET_ARN).claimed == {}


def test_tags_of_anything_else_than_a_permission_set_are_no_subject() -> None:
    application = "arn:aws:sso::111122223333:application/ssoins-72231f5a3ebc2a4b/apl-1a2b3c4d"
    hint = a_center_hint("TagResource", parameters={"resourceArn": application})
    assert facts.claimed(hint, CATALOGUE) == ()
    with pytest.raises(EventError, match="lacks resourceArn"):
        only("TagResource", tags=[])


# ------------------------------------------------------------------ claimed: assignments, checks


def test_an_assignment_is_claimed_in_the_account_that_it_opens() -> None:
    hint = a_center_hint(
        "CreateAccountAssignment",
        parameters=ASSIGNED,
        response={"accountAssignmentCreationStatus": {"status": "IN_PROGRESS", "requestId": "r-1"}},
    )
    assert facts.claimed(hint) == (
        AccountAssignment(
            account=MEMBER,
            permission_set_arn=SET_ARN,
            principal_kind=PrincipalKind.USER,
            principal_id=PERSON_ID,
            instance_arn=INSTANCE,
            request_id="r-1",
            since=NOW,
        ),
    )


@pytest.mark.parametrize("field", ["targetId", "permissionSetArn", "principalType", "principalId"])
def test_an_assignment_that_lacks_whose_it_is_goes_to_a_human(field: str) -> None:
    parameters = {name: value for name, value in ASSIGNED.items() if name != field}
    with pytest.raises(EventError, match=f"lacks {field}"):
        only("CreateAccountAssignment", **parameters)


def test_a_principal_of_an_unknown_kind_goes_to_a_human() -> None:
    with pytest.raises(EventError, match="neither USER nor GROUP"):
        only("CreateAccountAssignment", **ASSIGNED | {"principalType": "ROBOT"})


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ({"accessorType": "GROUP"}, PrincipalKind.GROUP),
        ({"accessorType": "USER"}, PrincipalKind.USER),
        ({}, PrincipalKind.USER),
    ],
)
def test_whoever_an_old_console_gives_a_profile_is_a_user_unless_it_says_group(
    told: dict[str, object], kind: PrincipalKind
) -> None:
    subject = only("AssociateProfile", accessorId=GROUP_ID, profileId="p-1", **told)
    assert isinstance(subject, AccountAssignment)
    assert (subject.principal_kind, subject.principal_id) == (kind, GROUP_ID)
    assert subject.permission_set_arn == "p-1"


def test_a_profile_that_nobody_gets_goes_to_a_human() -> None:
    with pytest.raises(EventError, match="lacks accessorId"):
        only("AssociateProfile", profileId="p-1")


def test_keyward_looks_at_a_set_by_name_or_by_arn_and_knows_not_since_when() -> None:
    (by_name,) = facts.claimed(a_check(permissionSetName="Developer"), CATALOGUE)
    assert by_name == PermissionSet(account=HUB, name="Developer", catalogue=CATALOGUE)
    (by_arn,) = facts.claimed(a_check(permissionSetArn=SET_ARN), CATALOGUE)
    assert by_arn == PermissionSet(account=HUB, arn=SET_ARN, catalogue=CATALOGUE)


def a_checked_assignment(**changes: str) -> Hint:
    asked = {
        "accountId": MEMBER,
        "permissionSetArn": SET_ARN,
        "principalType": "USER",
        "principalId": PERSON_ID,
    }
    return a_check(**(asked | changes))


def test_keyward_looks_at_one_assignment() -> None:
    (subject,) = facts.claimed(a_checked_assignment(since=NOW.isoformat()), CATALOGUE)
    assert subject == AccountAssignment(
        account=MEMBER,
        permission_set_arn=SET_ARN,
        principal_kind=PrincipalKind.USER,
        principal_id=PERSON_ID,
        since=NOW,
    )
    (unknown,) = facts.claimed(a_checked_assignment(), CATALOGUE)
    assert unknown.since is None


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"principalType": "ROLE"}, "neither USER nor GROUP"),
        ({"since": "yesterday"}, "is no time with a zone"),
        ({"since": "2026-11-20T09:00:00"}, "is no time with a zone"),
    ],
)
def test_a_check_of_an_assignment_that_cannot_be_read_is_refused(
    changes: dict[str, str], what: str
) -> None:
    with pytest.raises(EventError, match=what):
        facts.claimed(a_checked_assignment(**changes), CATALOGUE)


def test_a_check_of_an_assignment_needs_all_that_it_is_known_by() -> None:
    for parameter in ("accountId", "permissionSetArn", "principalType"):
        parameters = dict(a_checked_assignment().parameters)
        del parameters[parameter]
        with pytest.raises(EventError, match=f"lacks {parameter}"):
            facts.claimed(replace(a_checked_assignment(), parameters=parameters), CATALOGUE)


def test_what_the_owners_just_changed_is_so_since_then() -> None:
    hint = a_center_hint(
        "CatalogueChanged", source="keyward", parameters={"permissionSetName": "X"}, sweep=True
    )
    (subject,) = facts.claimed(hint, CATALOGUE)
    assert subject.since == NOW


def test_a_check_of_something_else_speaks_of_no_permission_set() -> None:
    assert facts.claimed(a_check(userName="bob"), CATALOGUE) == ()


def test_a_failed_call_claims_nothing() -> None:
    hint = a_center_hint("CreateAccountAssignment", error_code="AccessDenied")
    assert facts.claimed(hint, CATALOGUE) == ()


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
names = st.sampled_from(
    [*WHOLE, *ASSIGNED, "resourceArn", "tags", "tagKeys", "sessionDuration", "name", "accessorId"]
)


@given(
    event=st.sampled_from([event for _, event in identity_center._READERS]),
    parameters=st.dictionaries(names, anything),
    response=st.dictionaries(
        st.sampled_from(["permissionSet", "accountAssignmentCreationStatus"]), anything
    ),
)
def test_whatever_an_event_holds_it_is_read_or_goes_to_a_human(
    event: str, parameters: dict[str, object], response: dict[str, object]
) -> None:
    hint = a_center_hint(event, parameters=parameters, response=response)
    try:
        claimed = facts.claimed(hint, CATALOGUE)
    except EventError:
        return
    assert all(subject.label for subject in claimed)


# ------------------------------------------------------------------ as they are


@pytest.fixture
def center(monkeypatch: pytest.MonkeyPatch) -> Iterator[Center]:
    """An organization and its Identity Center, with what AWS's managed policies say."""
    with a_world(monkeypatch) as world, a_center(world, monkeypatch) as made:
        for name in ("AdministratorAccess", "ReadOnlyAccess"):
            managed_policy(name, {"Statement": [{"Sid": name}]})
        yield made


def managed_policy(name: str, document: dict[str, Any]) -> None:
    policy = AWSManagedPolicy.from_data(
        name,
        organization.HUB,
        organization.REGION,
        {
            "DefaultVersionId": "v7",
            "Path": "/",
            "Document": document,
            "CreateDate": "2020-01-01T00:00:00+00:00",
            "UpdateDate": "2020-01-01T00:00:00+00:00",
        },
    )
    iam_backends[organization.HUB]["aws"].managed_policies[policy.arn] = policy


def reach(world: World) -> Reach:
    return world.services.reach(world.member, world.now)


def a_claim(center: Center, **known: Any) -> PermissionSet:
    found: dict[str, Any] = {
        "account": center.world.other_member,
        "catalogue": catalogue_of({"Developer": DEVELOPER}),
        "since": center.world.now,
    }
    return PermissionSet(**(found | known))


def an_assignment_claim(center: Center, arn: str, user: str, **known: Any) -> AccountAssignment:
    found: dict[str, Any] = {
        "account": center.world.member,
        "permission_set_arn": arn,
        "principal_kind": PrincipalKind.USER,
        "principal_id": user,
        "instance_arn": center.instance,
        "since": center.world.now,
    }
    return AccountAssignment(**(found | known))


def identified(
    center: Center, claim: OfIdentityCenter
) -> tuple[list[OfIdentityCenter], list[OfIdentityCenter]]:
    return identity_center.identified(
        [claim], reach=reach(center.world), ledger=center.world.ledger
    )


def known(center: Center, claim: PermissionSet) -> PermissionSet:
    (found,), _ = identified(center, claim)
    assert isinstance(found, PermissionSet)
    return found


def present(center: Center, *subjects: OfIdentityCenter) -> list[OfIdentityCenter]:
    return identity_center.current(
        subjects, reach=reach(center.world), ledger=center.world.ledger, now=center.world.now
    )


def read(center: Center, claim: PermissionSet) -> PermissionSet:
    (found,) = present(center, known(center, claim))
    assert isinstance(found, PermissionSet)
    return found


def counted(center: Center, claim: OfIdentityCenter) -> Counter[str]:
    """The calls to sso-admin that confirming it costs a function that has just started."""
    of_admin = set(center.admin.meta.method_to_api_mapping.values())
    center.world.restart()
    with center.world.recorded() as calls:
        present(center, *identified(center, claim)[0])
    return Counter(name for name, _ in calls if name in of_admin)


def test_a_set_is_told_by_its_name_and_belongs_to_the_hub(center: Center) -> None:
    arn = center.developer()
    found = known(center, a_claim(center, arn=arn))
    assert (found.name, found.account, found.instance_arn) == (
        "Developer",
        organization.HUB,
        center.instance,
    )
    assert found.attributes is None
    assert found.since == center.world.now


def test_the_old_consoles_id_becomes_an_arn_of_our_instance(center: Center) -> None:
    arn = center.developer()
    assert known(center, a_claim(center, arn=arn.rpartition("/")[2])).arn == arn


@pytest.mark.parametrize(
    "claim",
    [
        {"instance_arn": "arn:aws:sso:::instance/ssoins-0000000000000000"},
        {"arn": SET_ARN, "instance_arn": None},
    ],
)
def test_a_set_of_another_instance_is_none_of_ours(center: Center, claim: dict[str, Any]) -> None:
    subject = a_claim(center, **({"arn": center.developer()} | claim))
    assert identified(center, subject) == ([], [subject])


def test_a_set_that_is_gone_and_that_nobody_remembers_is_gone(center: Center) -> None:
    subject = a_claim(center, arn=f"{center.developer().rpartition('/')[0]}/{NEVER_MADE}")
    assert identified(center, subject) == ([], [subject])


def test_a_set_of_the_catalogue_is_remembered_once_it_was_read(center: Center) -> None:
    arn = center.developer()
    read(center, a_claim(center, arn=arn))
    center.admin.delete_permission_set(InstanceArn=center.instance, PermissionSetArn=arn)
    claim = a_claim(center, arn=arn)
    found = known(center, claim)
    assert (found.name, found.exists, found.arn, found.former_arn) == (
        "Developer",
        False,
        None,
        arn,
    )
    assert present(center, found) == [found]


def test_a_set_that_nobody_wants_is_not_remembered_and_gone_for_good(center: Center) -> None:
    arn = center.permission_set("Contractors")
    found = known(center, a_claim(center, arn=arn))
    present(center, found)
    assert center.world.ledger.name_of_set(arn) is None
    center.admin.delete_permission_set(InstanceArn=center.instance, PermissionSetArn=arn)
    assert present(center, found) == []


def test_a_set_that_goes_while_keyward_looks_is_gone(center: Center) -> None:
    arn = center.developer()
    found = known(center, a_claim(center, arn=arn))
    center.admin.delete_permission_set(InstanceArn=center.instance, PermissionSetArn=arn)
    (gone,) = present(center, found)
    assert isinstance(gone, PermissionSet)
    assert (gone.exists, gone.arn, gone.former_arn, gone.name) == (False, None, arn, "Developer")


def test_a_set_that_was_made_anew_is_not_missing(center: Center) -> None:
    former = center.developer()
    read(center, a_claim(center, arn=former))
    center.admin.delete_permission_set(InstanceArn=center.instance, PermissionSetArn=former)
    center.developer()
    found = known(center, a_claim(center, arn=former))
    assert (found.exists, found.arn, found.former_arn) == (True, None, former)
    assert found.unique_id == "permission-set/Developer"  # as the one that was missing
    assert present(center, found) == []


def test_a_set_of_the_catalogue_is_looked_for_by_its_name(center: Center) -> None:
    claim = a_claim(center, name="Developer")
    missing = known(center, claim)
    assert (missing.exists, missing.arn) == (False, None)
    assert missing.unique_id == "permission-set/Developer"
    arn = center.developer()
    (found,), gone = identified(center, claim)
    assert found.unique_id == arn
    assert gone == [claim]  # what the ledger holds against the missing one is so no more


def test_what_is_looked_for_by_a_name_that_nobody_wants_is_no_finding(center: Center) -> None:
    found = known(center, a_claim(center, name="Contractors"))
    assert present(center, found) == []


def test_a_set_is_read_whole(center: Center) -> None:
    arn = center.developer()
    center.admin.put_inline_policy_to_permission_set(
        InstanceArn=center.instance, PermissionSetArn=arn, InlinePolicy=INLINE
    )
    center.admin.put_permissions_boundary_to_permission_set(
        InstanceArn=center.instance,
        PermissionSetArn=arn,
        PermissionsBoundary={"ManagedPolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"},
    )
    center.assigned(arn, "GROUP", center.group("Developers"))
    found = read(center, a_claim(center, arn=arn))
    assert found.attributes is not None
    assert found.attributes.session_seconds == 14400
    assert found.attributes.boundary == Boundary(
        managed_policy_arn="arn:aws:iam::aws:policy/AdministratorAccess"
    )
    assert found.accounts == (center.world.member,)
    assert found.documents is not None
    assert [document.name for document in found.documents] == ["ReadOnlyAccess", "inline policy"]
    assert json.loads(found.documents[0].text) == {"Statement": [{"Sid": "ReadOnlyAccess"}]}
    assert found.boundary_document is not None
    assert "AdministratorAccess" in found.boundary_document.text


def test_of_a_managed_policy_that_nobody_finds_nobody_can_tell(center: Center) -> None:
    del iam_backends[organization.HUB]["aws"].managed_policies[READ_ONLY_ARN]
    assert read(center, a_claim(center, arn=center.developer())).documents == (
        PolicyDocument(name="ReadOnlyAccess", text="", arn=READ_ONLY_ARN),
    )


@pytest.mark.parametrize("is_on", [True, False])
def test_the_policy_that_was_put_on_is_kept_while_it_is_on(center: Center, *, is_on: bool) -> None:
    arn = center.permission_set("Developer", *([READ_ONLY_ARN] if is_on else []))
    added = PolicyDocument(name="ReadOnlyAccess", text="", arn=READ_ONLY_ARN)
    found = read(center, a_claim(center, arn=arn, added=added))
    assert found.added == (found.documents[0] if is_on and found.documents else None)


@pytest.mark.parametrize("is_on", [True, False])
def test_a_customer_policy_that_was_put_on_is_kept_while_it_is_on(
    center: Center, *, is_on: bool
) -> None:
    arn, team = center.developer(), CustomerPolicy(name="team", path="/x/")
    if is_on:
        center.admin.attach_customer_managed_policy_reference_to_permission_set(
            InstanceArn=center.instance,
            PermissionSetArn=arn,
            CustomerManagedPolicyReference={"Name": "team", "Path": "/x/"},
        )
    assert read(center, a_claim(center, arn=arn, added=team)).added == (team if is_on else None)


def test_the_inline_policy_that_stands_is_the_one_that_was_put(center: Center) -> None:
    arn = center.developer()
    put = PolicyDocument(name="inline policy", text="")
    assert read(center, a_claim(center, arn=arn, added=put)).added is None
    center.admin.put_inline_policy_to_permission_set(
        InstanceArn=center.instance, PermissionSetArn=arn, InlinePolicy=INLINE
    )
    found = read(center, a_claim(center, arn=arn, added=put))
    assert found.added == PolicyDocument(name="inline policy", text=INLINE)


def test_versions_and_numbers_are_asked_for_only_where_keyward_looks_by_itself(
    center: Center,
) -> None:
    first, second = center.developer(), center.permission_set("Contractors")
    center.assigned(first, "GROUP", center.group("Developers"))
    center.admin.update_permission_set(
        InstanceArn=center.instance, PermissionSetArn=first, SessionDuration="PT2H"
    )
    event = read(center, a_claim(center, arn=first))
    assert (event.stale_accounts, event.number_of_sets) == ((), None)
    check = read(center, a_claim(center, arn=first, since=None))
    assert check.stale_accounts == (center.world.member,)
    numbers = {
        arn: read(center, a_claim(center, arn=arn, since=None)).number_of_sets
        for arn in (first, second)
    }
    assert numbers == {first: None, second: 2}  # the catalogue names the first


def test_an_assignment_is_read_with_its_set_its_holder_and_where_it_is(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    center.assigned(arn, "USER", user)
    claim = an_assignment_claim(center, arn, user, instance_arn=None)
    (named,), _ = identified(center, claim)
    (found,) = present(center, named)
    assert isinstance(found, AccountAssignment)
    assert found.permission_set is not None
    assert (found.permission_set.name, found.permission_set.account) == (
        "Developer",
        organization.HUB,
    )
    assert found.permission_set.attributes is not None
    assert [document.name for document in found.permission_set.documents or ()] == [
        "ReadOnlyAccess"
    ]
    assert found.principal_name == "jane"
    assert found.parents is not None
    assert [parent[:2] for parent in found.parents] == ["r-"]
    assert (found.account, found.since) == (center.world.member, center.world.now)


@pytest.mark.parametrize(
    "other",
    [
        {"instance_arn": "arn:aws:sso:::instance/ssoins-0000000000000000"},
        {"permission_set_arn": SET_ARN},
    ],
)
def test_an_assignment_of_another_instance_is_none_of_ours(
    center: Center, other: dict[str, Any]
) -> None:
    claim = an_assignment_claim(center, center.developer(), center.user("jane"), **other)
    assert identified(center, claim) == ([], [claim])


def test_an_assignment_that_is_taken_back_is_gone(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    assert present(center, an_assignment_claim(center, arn, user)) == []
    gone = an_assignment_claim(center, f"{arn.rpartition('/')[0]}/{NEVER_MADE}", user)
    assert present(center, gone) == []


def request_of(event: dict[str, Any]) -> str:
    return str(event["detail"]["responseElements"]["accountAssignmentCreationStatus"]["requestId"])


def asked_for(center: Center, arn: str, user: str) -> str:
    """Asks for an assignment that takes AWS a while; returns the request's id."""
    event = center.do(
        "CreateAccountAssignment",
        PermissionSetArn=arn,
        PrincipalType="USER",
        PrincipalId=user,
        TargetType="AWS_ACCOUNT",
        TargetId=center.world.member,
    )
    return request_of(event)


def test_an_assignment_that_aws_still_makes_is_looked_at_again_later(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    center.behaviour.looks_in_progress = 2
    claim = an_assignment_claim(center, arn, user, request_id=asked_for(center, arn, user))
    for _ in range(2):
        with pytest.raises(GatewayError, match="AWS is still making the assignment") as refused:
            present(center, claim)
        assert refused.value.retryable
    assert len(present(center, claim)) == 1


def test_an_assignment_that_aws_failed_to_make_is_gone(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    center.behaviour.looks_in_progress = 0
    center.behaviour.fail("CreateAccountAssignment", "role quota reached")
    request = asked_for(center, arn, user)
    gateway = center.world.services.identity_center(center.world.now)
    assert gateway.status(RequestKind.ASSIGNMENT_CREATION, request).state == "FAILED"
    assert present(center, an_assignment_claim(center, arn, user, request_id=request)) == []


def test_an_assignment_whose_request_aws_forgot_is_gone(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    claim = an_assignment_claim(
        center, arn, user, request_id="12345678-1234-1234-1234-123456789012"
    )
    assert present(center, claim) == []


def test_of_an_old_consoles_assignment_each_of_that_person_is_looked_at(center: Center) -> None:
    arn, user, group = center.developer(), center.user("jane"), center.group("Developers")
    center.assigned(arn, "USER", user)
    center.assigned(arn, "USER", user, center.world.other_member)
    center.assigned(arn, "GROUP", group)
    claim = an_assignment_claim(
        center, "p-1a2b3c4d", user, account=organization.HUB, instance_arn=None
    )
    found, gone = identified(center, claim)
    assert gone == []
    assert {subject.account for subject in found} == {
        center.world.member,
        center.world.other_member,
    }
    assert {subject.since for subject in found} == {None}
    assert all(isinstance(subject, AccountAssignment) for subject in present(center, *found))


def test_who_has_no_assignment_of_its_own_got_none_by_the_old_console(center: Center) -> None:
    claim = an_assignment_claim(center, "p-1a2b3c4d", center.user("jane"))
    assert identified(center, claim) == ([], [claim])


def refusing(refused: str, code: str) -> organization.Fault:
    def fault(operation: str, _params: dict[str, Any], call: Callable[[], Any]) -> Any:
        if operation == refused:
            raise organization.aws_error(code, operation)
        return call()

    return fault


def test_where_ous_may_not_be_seen_an_assignment_is_still_read(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    center.assigned(arn, "USER", user)

    center.world.fault = refusing("ListParents", "AccessDeniedException")
    with center.world.recorded():
        (found,) = present(center, an_assignment_claim(center, arn, user))
    assert isinstance(found, AccountAssignment)
    assert found.parents is None


def test_where_ous_are_throttled_the_event_comes_again(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    center.assigned(arn, "USER", user)

    center.world.fault = refusing("ListParents", "TooManyRequestsException")
    with center.world.recorded(), pytest.raises(GatewayError) as refused:
        present(center, an_assignment_claim(center, arn, user))
    assert refused.value.retryable


# ------------------------------------------------------------------ what it costs


def test_an_assignment_to_a_person_is_confirmed_in_eight_calls_at_most(center: Center) -> None:
    arn, user = center.developer(), center.user("jane")
    center.assigned(arn, "USER", user)
    calls = counted(center, an_assignment_claim(center, arn, user))
    assert sum(calls.values()) <= 8, calls
    assert max(calls.values()) == 1


def test_a_drift_is_confirmed_in_ten_calls_at_most(center: Center) -> None:
    calls = counted(center, a_claim(center, arn=center.developer()))
    assert sum(calls.values()) <= 10, calls
    assert calls["DescribePermissionSet"] == 2


def test_the_ous_of_an_account_are_asked_for_once_in_five_minutes(center: Center) -> None:
    services, now = center.world.services, center.world.now
    with center.world.recorded() as calls:
        for seconds in (0, 299, 300):
            services.parents(center.world.member, now + timedelta(seconds=seconds))
    assert [name for name, _ in calls] == ["ListParents", "ListParents"]
