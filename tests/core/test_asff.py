"""Findings as Security Hub takes them: under one id, within its limits, closed when they are."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.validate import validate_parameters
from hypothesis import given

from keyward import asff, planner, rules
from keyward.findings import FindingRecord, State
from tests.builders import HUB, KEY_ID, MEMBER, NOW, USER_ID, an_iam_user
from tests.core.test_planner import planned, recorded
from tests.core.test_text_and_alerts import HOSTILE, a_record


def document(record: FindingRecord) -> dict[str, Any]:
    return dict(asff.document(record, partition="aws", region="eu-central-1", hub_account=HUB))


def problems(found: dict[str, Any]) -> list[str]:
    """What the API's own model objects to: unknown fields, wrong types."""
    client: Any = boto3.client("securityhub", region_name="eu-central-1")
    shape = client.meta.service_model.operation_model("BatchImportFindings").input_shape
    known = set(shape.members["Findings"].member.members)
    validate_parameters({"Findings": [found]}, shape)
    return sorted(set(found) - known)


@pytest.mark.parametrize("state", list(State))
def test_document_is_what_the_api_takes(state: State) -> None:
    assert problems(document(a_record(state))) == []


def test_it_is_the_hubs_own_and_names_the_account_concerned() -> None:
    found = document(a_record())
    assert found["AwsAccountId"] == HUB
    assert found["ProductArn"] == (f"arn:aws:securityhub:eu-central-1:{HUB}:product/{HUB}/default")
    assert found["ProductFields"]["keyward/account"] == MEMBER
    assert f"AWS::::Account:{MEMBER}" in {it["Id"] for it in found["Resources"]}


def test_access_key_is_a_resource_that_security_hub_knows() -> None:
    key = document(a_record())["Resources"][0]
    assert (key["Type"], key["Id"]) == ("AwsIamAccessKey", f"AWS::IAM::AccessKey:{KEY_ID}")
    assert key["Details"]["AwsIamAccessKey"]["AccountId"] == MEMBER


def test_iam_user_is_one_by_its_arn_and_all_else_is_other() -> None:
    user = recorded(planned(an_iam_user(), "iam-user-created"))
    arn = f"arn:aws:iam::{MEMBER}:user/ci"
    resource = document(user.model_copy(update={"user_arn": arn}))["Resources"][0]
    assert (resource["Type"], resource["Id"]) == ("AwsIamUser", arn)
    assert resource["Details"]["AwsIamUser"]["UserId"] == USER_ID
    other = user.model_copy(update={"user_arn": None, "unique_id": ""})
    assert (document(other)["Resources"][0]["Type"]) == "Other"
    assert document(other)["Resources"][0]["Id"] == other.key
    assert problems(document(other)) == []


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        (State.OPEN, "ACTIVE"),
        (State.ACTED, "ACTIVE"),
        (State.FAILED, "ACTIVE"),
        (State.RESOLVED, "ARCHIVED"),
        (State.RELEASED, "ARCHIVED"),
        (State.EXEMPT, "ARCHIVED"),
    ],
)
def test_closed_finding_is_archived(state: State, kept: str) -> None:
    assert document(a_record(state))["RecordState"] == kept


def test_id_stays_through_states_and_episodes_and_each_change_is_younger() -> None:
    record = a_record(State.ACTED)
    closed = planner.resolved(record, "gone", now=NOW + timedelta(minutes=1))
    back = closed.model_copy(update={"episode": 2})
    assert {document(it)["Id"] for it in (record, closed, back)} == {
        f"keyward/{MEMBER}/{record.key}"
    }
    assert document(record)["UpdatedAt"] < document(closed)["UpdatedAt"]
    assert document(record)["CreatedAt"] == document(closed)["CreatedAt"]


def test_same_change_told_again_is_no_younger() -> None:
    record = a_record(State.ACTED)
    later = record.model_copy(update={"seen": 9, "version": 12})
    assert document(later)["UpdatedAt"] == document(record)["UpdatedAt"]


def test_severity_and_type_can_be_updated_and_workflow_is_left_to_people() -> None:
    found = document(a_record(State.FAILED))
    assert found["FindingProviderFields"]["Severity"]["Label"] == "CRITICAL"
    assert not {"Workflow", "Note", "VerificationState", "UserDefinedFields"} & set(found)


def test_types_are_of_rules_that_there_are() -> None:
    assert set(asff.TYPES) <= {rule.id for rule in rules.every()}


@given(HOSTILE, HOSTILE)
def test_whatever_a_finding_says_it_fits_and_holds_no_markup(subject: str, said: str) -> None:
    much = said * 50
    found = document(
        a_record(State.ACTED, subject=subject, reason=much, fix=much or "x", outcome=much)
    )
    assert problems(found) == []
    assert 0 < len(found["Title"]) <= 256
    assert 0 < len(found["Description"]) <= 1024
    assert len(found["Remediation"]["Recommendation"]["Text"]) <= 512
    assert not re.search(r"[<>&\n]", found["Title"] + found["Description"])
    assert all(0 < len(value) <= 1024 for value in found["ProductFields"].values())


def test_times_are_in_utc() -> None:
    for name in ("CreatedAt", "UpdatedAt", "FirstObservedAt", "LastObservedAt"):
        at = document(a_record())[name]
        assert at.endswith("Z")
        assert datetime.fromisoformat(at).utcoffset() == timedelta(0)
