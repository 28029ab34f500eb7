"""Which of Keyward's own parts an event changed."""

import pytest

from keyward.errors import EventError
from keyward.own import CHANGES, changed_by
from tests.builders import HUB, MEMBER, NOW, a_hint

ARN = f"arn:aws:lambda:eu-central-1:{HUB}:function:keyward-iam-guard"
LAMBDA = "lambda.amazonaws.com"
EVENTS = "events.amazonaws.com"
IAM = "iam.amazonaws.com"
S3 = "s3.amazonaws.com"
SECRETS = "secretsmanager.amazonaws.com"
SECRET = f"arn:aws:secretsmanager:eu-central-1:{HUB}:secret:keyward/slack-AbCdEf"
SCHEDULER = "scheduler.amazonaws.com"
SSM = "ssm.amazonaws.com"
CFN = "cloudformation.amazonaws.com"
QUEUES = f"https://sqs.eu-central-1.amazonaws.com/{HUB}"


def names(source: str, event: str, parameters: object, response: object = None) -> list[str]:
    assert isinstance(parameters, dict)
    assert response is None or isinstance(response, dict)
    hint = a_hint(event, source=source, parameters=parameters, response=response, account=HUB)
    return [resource.name for resource in changed_by(hint)]


@pytest.mark.parametrize(
    ("source", "event", "parameters", "name"),
    [
        (EVENTS, "DisableRule", {"name": "keyward-forward"}, "keyward-forward"),
        (EVENTS, "RemoveTargets", {"rule": "keyward-forward"}, "keyward-forward"),
        (EVENTS, "DeleteRule", {"name": "copies", "eventBusName": "keyward"}, "copies"),
        (
            EVENTS,
            "DeleteRule",
            {"name": "x", "eventBusName": f"arn:aws:events:eu-central-1:{HUB}:event-bus/keyward"},
            "x",
        ),
        (EVENTS, "DeleteEventBus", {"name": "keyward"}, "keyward"),
        (EVENTS, "PutPermission", {"eventBusName": "keyward"}, "keyward"),
        (S3, "PutBucketPolicy", {"bucketName": "keyward-inventory-1"}, "keyward-inventory-1"),
        (SECRETS, "PutSecretValue", {"secretId": "keyward/slack"}, "keyward/slack"),
        (SECRETS, "DeleteSecret", {"secretId": SECRET}, "keyward/slack-AbCdEf"),
        (SCHEDULER, "UpdateSchedule", {"name": "keyward-sweep", "groupName": "x"}, "keyward-sweep"),
        (SCHEDULER, "DeleteScheduleGroup", {"name": "keyward"}, "keyward"),
        (
            LAMBDA,
            "DeleteFunction20150331",
            {"functionName": "keyward-operator"},
            "keyward-operator",
        ),
        (LAMBDA, "DeleteFunction20150331", {"functionName": ARN}, "keyward-iam-guard"),
        (LAMBDA, "DeleteFunction20150331", {"functionName": f"{ARN}:7"}, "keyward-iam-guard"),
        (
            LAMBDA,
            "DeleteFunction20150331",
            {"functionName": f"{HUB}:function:keyward-notifier"},
            "keyward-notifier",
        ),
        (IAM, "DeleteRole", {"roleName": "keyward-member"}, "keyward-member"),
        (IAM, "DeleteRole", {"roleName": "Keyward-Member"}, "keyward-member"),
        (IAM, "DeleteGroup", {"groupName": "keyward-quarantine"}, "keyward-quarantine"),
        (IAM, "DeleteGroup", {"groupName": "KEYWARD-quarantine"}, "keyward-quarantine"),
        (SSM, "PutParameter", {"name": "/keyward/settings"}, "/keyward/settings"),
        (
            SSM,
            "PutParameter",
            {"name": f"arn:aws:ssm:eu-central-1:{HUB}:parameter/keyward/settings"},
            "/keyward/settings",
        ),
        (SSM, "DeleteParameters", {"names": ["/x", "/keyward/rules/a"]}, "/keyward/rules/a"),
        (CFN, "DeleteStack", {"stackName": "keyward"}, "keyward"),
        (
            CFN,
            "UpdateStack",
            {"stackName": f"arn:aws:cloudformation:eu-central-1:{HUB}:stack/keyward/0a1b"},
            "keyward",
        ),
        (
            CFN,
            "UpdateStack",
            {"stackName": "StackSet-keyward-member-0"},
            "StackSet-keyward-member-0",
        ),
        (CFN, "UpdateStackSet", {"stackSetName": "keyward-member"}, "keyward-member"),
        (CFN, "DeleteStackSet", {"stackSetName": "keyward-member:0a1b"}, "keyward-member"),
        (
            "dynamodb.amazonaws.com",
            "DeleteTable",
            {"tableName": "keyward-ledger"},
            "keyward-ledger",
        ),
        (
            "dynamodb.amazonaws.com",
            "DeleteTable",
            {"tableName": f"arn:aws:dynamodb:eu-central-1:{HUB}:table/keyward-ledger"},
            "keyward-ledger",
        ),
        (
            "sqs.amazonaws.com",
            "DeleteQueue",
            {"queueUrl": f"{QUEUES}/keyward-iam-guard-dead-letters"},
            "keyward-iam-guard-dead-letters",
        ),
        (
            "sns.amazonaws.com",
            "DeleteTopic",
            {"topicArn": f"arn:aws:sns:eu-central-1:{HUB}:keyward-alerts"},
            "keyward-alerts",
        ),
        (
            "sns.amazonaws.com",
            "Unsubscribe",
            {"subscriptionArn": f"arn:aws:sns:eu-central-1:{HUB}:keyward-alerts:3f1a"},
            "keyward-alerts",
        ),
    ],
)
def test_a_change_of_keywards_own_is_seen(
    source: str, event: str, parameters: dict[str, object], name: str
) -> None:
    assert names(source, event, parameters) == [name]


@pytest.mark.parametrize(
    ("source", "event", "parameters"),
    [
        (EVENTS, "DisableRule", {"name": "orders"}),
        (EVENTS, "DisableRule", {"name": "not-keyward-forward", "eventBusName": "default"}),
        (EVENTS, "DeleteEventBus", {"name": "keywards"}),
        (EVENTS, "PutPermission", {"eventBusName": "default"}),
        (LAMBDA, "DeleteFunction20150331", {"functionName": "my-keyward-iam-guard"}),
        (LAMBDA, "DeleteFunction20150331", {"functionName": f"{HUB}:function:orders:keyward-x"}),
        (IAM, "DeleteRole", {"roleName": "keyword-member"}),
        (IAM, "DeleteGroup", {"groupName": "keyward-quarantine-2"}),
        (SSM, "PutParameter", {"name": "/keyward"}),
        (SSM, "PutParameter", {"name": "/app/keyward/settings"}),
        (SSM, "PutParameter", {"name": "/keyward-2/settings"}),
        (SSM, "DeleteParameters", {"names": []}),
        (CFN, "DeleteStack", {"stackName": "orders"}),
        (CFN, "DeleteStack", {"stackName": "StackSet-orders-keyward"}),
        ("dynamodb.amazonaws.com", "DeleteTable", {"tableName": "orders"}),
        ("sqs.amazonaws.com", "DeleteQueue", {"queueUrl": f"{QUEUES}/orders"}),
        (SECRETS, "PutSecretValue", {"secretId": "shop/keyward/slack"}),
        ("sns.amazonaws.com", "DeleteTopic", {"topicArn": f"arn:aws:sns:x:{HUB}:orders"}),
        ("sns.amazonaws.com", "DeleteTopic", {"topicArn": "keyward-alerts"}),
    ],
)
def test_a_change_of_others_things_is_none_of_keywards(
    source: str, event: str, parameters: dict[str, object]
) -> None:
    assert names(source, event, parameters) == []


def test_an_event_source_mapping_is_known_by_the_function_in_the_response() -> None:
    event = "UpdateEventSourceMapping20150331"
    asked = {"uUID": "0f9a", "enabled": False}
    assert names(LAMBDA, event, asked, {"functionArn": ARN}) == ["keyward-iam-guard"]
    assert names(LAMBDA, event, asked, {"functionArn": ARN.replace("keyward", "my")}) == []


def test_a_function_named_in_request_and_response_is_one_change() -> None:
    asked, answered = {"functionName": ARN}, {"functionName": "keyward-iam-guard"}
    event = "UpdateFunctionCode20150331v2"
    assert names(LAMBDA, event, asked, answered) == ["keyward-iam-guard"]


def test_several_parameters_deleted_at_once_are_several_changes() -> None:
    asked = {"names": ["/keyward/a", "/x", "/keyward/b", "/keyward/a"]}
    assert names(SSM, "DeleteParameters", asked) == ["/keyward/a", "/keyward/b"]


def test_the_change_says_what_where_and_when() -> None:
    hint = a_hint("DisableRule", source=EVENTS, parameters={"name": "keyward-forward"})
    (resource,) = changed_by(hint)
    assert (resource.account, resource.service) == (MEMBER, "events")
    assert (resource.change, resource.since) == ("DisableRule", NOW)


def test_other_events_of_these_services_change_nothing() -> None:
    assert names(EVENTS, "DescribeRule", {"name": "keyward-forward"}) == []
    assert names(LAMBDA, "UpdateFunctionCode", {"functionName": "keyward-iam-guard"}) == []
    assert names("example.amazonaws.com", "DisableRule", {"name": "keyward-forward"}) == []


@pytest.mark.parametrize(
    ("source", "event"), [(source, event) for source in CHANGES for event in CHANGES[source]]
)
def test_an_event_that_says_nothing_at_all_is_refused(source: str, event: str) -> None:
    with pytest.raises(EventError, match="look by hand"):
        changed_by(a_hint(event, source=source))


FIELDS = (
    *("name", "rule", "eventBusName", "functionName", "roleName", "groupName", "names"),
    *("stackName", "stackSetName", "tableName", "queueUrl", "topicArn", "subscriptionArn"),
    *("bucketName", "secretId"),
)


@pytest.mark.parametrize("value", [7, True, ["keyward"], {"keyward": "x"}, [None, 3], [[]]])
@pytest.mark.parametrize("source", CHANGES)
def test_a_name_of_another_type_is_refused_and_nothing_else_happens(
    source: str, value: object
) -> None:
    for event in CHANGES[source]:
        hint = a_hint(event, source=source, parameters=dict.fromkeys(FIELDS, value))
        with pytest.raises(EventError):
            changed_by(hint)


@pytest.mark.parametrize("source", CHANGES)
def test_a_null_is_an_absent_name(source: str) -> None:
    for event in CHANGES[source]:
        hint = a_hint(event, source=source, parameters=dict.fromkeys(FIELDS))
        assert changed_by(hint) == ()
