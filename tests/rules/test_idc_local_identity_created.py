from dataclasses import replace

import pytest

from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.model import DirectoryIdentity, PrincipalKind
from keyward.rules.idc_local_identity_created import RULE
from tests.builders import (
    HUB,
    NOW,
    a_center_hint,
    a_key,
    a_role_session,
    exempt_by_id,
    reasons,
    root_of,
)

USER = DirectoryIdentity(
    account=HUB,
    kind=PrincipalKind.USER,
    identity_id="d4e5f607-2b3c-4d4e-9f0a-1b2c3d4e5f60",
    via="console",
    change="CreateUser",
    since=NOW,
)
GROUP = replace(USER, kind=PrincipalKind.GROUP, via="api", change="CreateGroupMembership")
CONNECTOR = a_role_session("idp/connector", account=HUB)


@pytest.mark.parametrize(
    ("identity", "way"), [(USER, "CreateUser"), (USER, "in the console"), (GROUP, "in the API")]
)
def test_an_identity_made_by_hand_is_objected_to(identity: DirectoryIdentity, way: str) -> None:
    hint = a_center_hint(actor=root_of(HUB))
    (reason,) = reasons(RULE, identity, hint, external_idp=True)
    assert reason.code == "local"
    assert not reason.maybe
    assert way in reason.text
    assert root_of(HUB).label in reason.text


@pytest.mark.parametrize("identity", [USER, GROUP])
def test_without_an_identity_provider_it_is_compliant(identity: DirectoryIdentity) -> None:
    assert reasons(RULE, identity) == []
    assert reasons(RULE, identity, external_idp=False) == []


@pytest.mark.parametrize("identity", [USER, GROUP])
def test_what_comes_by_scim_is_compliant(identity: DirectoryIdentity) -> None:
    assert reasons(RULE, replace(identity, via="scim"), external_idp=True) == []


def test_what_the_identity_providers_connector_makes_is_compliant() -> None:
    hint = a_center_hint(actor=CONNECTOR)
    role = f"arn:aws:iam::{HUB}:role/idp/connector"
    assert reasons(RULE, GROUP, hint, external_idp=True, writers=(role,)) == []
    other = f"arn:aws:iam::{HUB}:role/connector"
    assert reasons(RULE, GROUP, hint, external_idp=True, writers=(other,))


def test_an_access_key_is_none_of_its_business() -> None:
    assert reasons(RULE, a_key(), external_idp=True) == []


def test_it_is_medium_and_only_reported() -> None:
    assert RULE.settings().severity is Severity.MEDIUM
    assert RULE.enforcement is Enforcement.REPORT


def test_an_exempted_identity_is_exempt() -> None:
    assert exempt_by_id(RULE, USER) == "ours"
    assert exempt_by_id(RULE, USER, unique_id="another") is None
