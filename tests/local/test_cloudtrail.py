"""The events that others drive with: told as AWS tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.cloudtrail import envelope, service_event

if TYPE_CHECKING:
    from local.cloudtrail import Record

ACCOUNT = "111122223333"


def test_service_event_has_no_caller_and_another_detail_type() -> None:
    details: Record = {"createManagedAccountStatus": {"state": "SUCCEEDED"}}
    record = service_event(
        ACCOUNT, "eu-west-1", "controltower.amazonaws.com", "CreateManagedAccount", details
    )
    event = envelope(record)
    assert record["userIdentity"] == {"accountId": ACCOUNT, "invokedBy": "AWS Internal"}
    assert (record["requestParameters"], record["responseElements"]) == (None, None)
    assert record["serviceEventDetails"] == details
    assert event["detail-type"] == "AWS Service Event via CloudTrail"
    assert event["source"] == "aws.controltower"
    assert (event["account"], event["region"]) == (ACCOUNT, "eu-west-1")


def test_call_is_an_api_call() -> None:
    record = service_event(ACCOUNT, "us-east-1", "iam.amazonaws.com", "CreateUser", {})
    event = envelope(record | {"eventType": "AwsApiCall"})
    assert event["detail-type"] == "AWS API Call via CloudTrail"
