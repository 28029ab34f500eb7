"""Which of Keyward's own parts an event changed: by their names, which are fixed.

A request names a role or a group without its path, so that anybody's role `keyward-x` counts, too:
better a word too many about these names than none about a real one.
"""

from collections.abc import Callable, Iterable, Mapping

from keyward.actions import QUARANTINE_GROUP
from keyward.errors import EventError
from keyward.events import text_of
from keyward.model import Hint, OwnResource

CHANGES: Mapping[str, tuple[str, ...]] = {
    "cloudformation.amazonaws.com": (
        "DeleteStack",
        "DeleteStackInstances",
        "DeleteStackSet",
        "ExecuteChangeSet",
        "UpdateStack",
        "UpdateStackSet",
    ),
    "dynamodb.amazonaws.com": ("DeleteTable", "UpdateTable"),
    "events.amazonaws.com": (
        "DeleteEventBus",
        "DeleteRule",
        "DisableRule",
        "PutPermission",
        "PutRule",
        "PutTargets",
        "RemovePermission",
        "RemoveTargets",
    ),
    "iam.amazonaws.com": (
        "AttachRolePolicy",
        "DeleteGroup",
        "DeleteGroupPolicy",
        "DeleteRole",
        "DeleteRolePolicy",
        "DetachGroupPolicy",
        "DetachRolePolicy",
        "PutGroupPolicy",
        "PutRolePermissionsBoundary",
        "PutRolePolicy",
        "UpdateAssumeRolePolicy",
        "UpdateGroup",
    ),
    # CloudTrail puts the API's version into these names.
    # Source: https://docs.aws.amazon.com/lambda/latest/dg/logging-using-cloudtrail.html
    "lambda.amazonaws.com": (
        "AddPermission20150331v2",
        "CreateFunctionUrlConfig",
        "DeleteEventSourceMapping20150331",
        "DeleteFunction20150331",
        "PutFunctionConcurrency20171031",
        "UpdateEventSourceMapping20150331",
        "UpdateFunctionCode20150331v2",
        "UpdateFunctionConfiguration20150331v2",
        "UpdateFunctionUrlConfig",
    ),
    # Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-s3-info.html
    "s3.amazonaws.com": (
        "DeleteBucket",
        "DeleteBucketPolicy",
        "PutBucketLifecycle",
        "PutBucketPolicy",
    ),
    # Who writes Slack's signing secret can press buttons. Secrets' names begin keyward/.
    # Source: https://docs.aws.amazon.com/secretsmanager/latest/userguide/cloudtrail_log_entries.html
    "secretsmanager.amazonaws.com": (
        "DeleteSecret",
        "PutResourcePolicy",
        "PutSecretValue",
        "UpdateSecret",
        "UpdateSecretVersionStage",
    ),
    # Source: https://docs.aws.amazon.com/scheduler/latest/UserGuide/logging-using-cloudtrail.html
    "scheduler.amazonaws.com": ("DeleteSchedule", "DeleteScheduleGroup", "UpdateSchedule"),
    "sns.amazonaws.com": ("DeleteTopic", "SetTopicAttributes", "Unsubscribe"),
    "sqs.amazonaws.com": ("DeleteQueue", "PurgeQueue", "SetQueueAttributes"),
    "ssm.amazonaws.com": ("DeleteParameter", "DeleteParameters", "PutParameter"),
}
"""eventSource -> the event names that can take Keyward's eyes or hands away."""


OUT_OF_REACH, NOT_FORWARDING = "OutOfReach", "NotForwarding"
"""What a sweep finds: Keyward can't look into an account; a rule there doesn't forward events."""

MEMBER_FORWARDERS = ("keyward-forward", "keyward-forward-watch")
"""The rules of member/template.yaml."""

HUB_FORWARDERS = (
    "keyward-forward-access-analyzer",
    "keyward-forward-control-tower",
    "keyward-forward-identity-center",
    "keyward-forward-settings",
    "keyward-forward-trails",
    "keyward-watch-event-source-mappings",
    "keyward-watch-functions",
    "keyward-watch-rules",
    "keyward-watch-schedules",
    "keyward-watch-stacks",
    "keyward-watch-stores",
)
"""The rules of template.yaml that send to the bus, beside keyward-forward in IAM's region."""

MAY_BE_ELSEWHERE = frozenset({"keyward-forward-control-tower"})
"""Of these, the one that isn't there where Control Tower is in another region."""


def out_of_reach(account: str, role: str, why: str) -> OwnResource:
    """The role by which Keyward looks into an account, where it can't."""
    return OwnResource(account=account, service="iam", name=role, change=OUT_OF_REACH, wrong=why)


def not_forwarding(account: str, rule: str, region: str, why: str) -> OwnResource:
    """A forwarding rule of Keyward's that doesn't forward."""
    return OwnResource(
        account=account,
        service="events",
        name=f"{rule}@{region}",
        change=NOT_FORWARDING,
        wrong=why,
    )


def changed_by(hint: Hint) -> tuple[OwnResource, ...]:
    """Keyward's own resources that the event changed, in the event's account; mostly none.

    Pure. Raises EventError where a name is no text, and where an event that can change them
    carries neither request nor response, so that nobody can tell.
    """
    if hint.event_name not in CHANGES.get(hint.event_source, ()):
        return ()
    if not hint.parameters and not hint.response:
        message = (
            f"event {hint.event_id}: {hint.event_name} in {hint.account} says nothing of what it "
            "changed: look by hand"
        )
        raise EventError(message)
    service = hint.event_source.removesuffix(".amazonaws.com")
    return tuple(
        OwnResource(
            account=hint.account,
            service=service,
            name=name,
            change=hint.event_name,
            since=hint.time,
        )
        for name in dict.fromkeys(_NAMED[hint.event_source](hint))
    )


def _stacks(hint: Hint) -> Iterable[str]:
    """Names of stacks and StackSets; an ARN may stand for a stack's name.

    Stacks that a StackSet makes are called StackSet-<its name>-<uuid>.
    """
    stack = _after(text_of(hint.parameters, "stackName"), ":stack/").partition("/")[0]
    if _is_ours(stack.removeprefix("StackSet-")):
        yield stack
    stack_set = _after(text_of(hint.parameters, "stackSetName"), ":stackset/").partition(":")[0]
    if _is_ours(stack_set):
        yield stack_set


def _tables(hint: Hint) -> Iterable[str]:
    return _ours(_after(text_of(hint.parameters, "tableName"), ":table/"))


def _rules(hint: Hint) -> Iterable[str]:
    """Rules by their own name or by the bus that they stand on; buses by name or ARN."""
    bus = _after(text_of(hint.parameters, "eventBusName"), ":event-bus/")
    name = text_of(hint.parameters, "name") or text_of(hint.parameters, "rule")
    if name is None:
        return _ours(bus)
    return (name,) if _is_ours(name) or _is_ours(bus) else ()


def _roles_and_groups(hint: Hint) -> Iterable[str]:
    """IAM tells names apart without regard to case.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    role = (text_of(hint.parameters, "roleName") or "").casefold()
    if role.startswith("keyward-"):
        yield role
    group = (text_of(hint.parameters, "groupName") or "").casefold()
    if group == QUARANTINE_GROUP:
        yield group


def _functions(hint: Hint) -> Iterable[str]:
    """Functions by name, partial ARN or ARN, with or without a qualifier.

    Events of an event source mapping name it by its uuid; its function stands in the response.
    Source: https://docs.aws.amazon.com/lambda/latest/api/API_UpdateEventSourceMapping.html
    """
    for values, field in (
        (hint.parameters, "functionName"),
        (hint.response, "functionName"),
        (hint.response, "functionArn"),
    ):
        yield from _ours(_after(text_of(values, field), "function:").partition(":")[0])


def _topics(hint: Hint) -> Iterable[str]:
    """Topics by ARN; an Unsubscribe by the subscription's, which continues the topic's."""
    arn = text_of(hint.parameters, "topicArn") or text_of(hint.parameters, "subscriptionArn") or ""
    _, _, name = arn.partition(":sns:")
    parts = name.split(":")
    return _ours(parts[2]) if len(parts) > 2 else ()  # noqa: PLR2004 - region, account, name


def _buckets(hint: Hint) -> Iterable[str]:
    return _ours(text_of(hint.parameters, "bucketName") or "")


def _secrets(hint: Hint) -> Iterable[str]:
    """Secrets by name or ARN, in which six random characters follow the name."""
    name = _after(text_of(hint.parameters, "secretId"), ":secret:")
    return (name,) if name.startswith("keyward/") or _is_ours(name) else ()


def _schedules(hint: Hint) -> Iterable[str]:
    """Schedules, and the group of that name."""
    return _ours(text_of(hint.parameters, "name") or "")


def _queues(hint: Hint) -> Iterable[str]:
    return _ours((text_of(hint.parameters, "queueUrl") or "").rpartition("/")[2])


def _parameters(hint: Hint) -> Iterable[str]:
    names = hint.parameters.get("names")
    if names is not None and not isinstance(names, list):
        message = f"event {hint.event_id}: names should be a list"
        raise EventError(message)
    texts = [
        text_of(hint.parameters, "name"),
        *(text_of({"names": n}, "names") for n in names or ()),
    ]
    for text in texts:
        name = _after(text, ":parameter")
        if name.startswith("/keyward/"):
            yield name


def _after(text: str | None, marker: str) -> str:
    """What stands behind the marker, as in an ARN; the whole text where there is none."""
    return (text or "").rpartition(marker)[2]


def _ours(name: str) -> tuple[str, ...]:
    return (name,) if _is_ours(name) else ()


def _is_ours(name: str) -> bool:
    return name == "keyward" or name.startswith("keyward-")


_NAMED: Mapping[str, Callable[[Hint], Iterable[str]]] = {
    "cloudformation.amazonaws.com": _stacks,
    "dynamodb.amazonaws.com": _tables,
    "events.amazonaws.com": _rules,
    "iam.amazonaws.com": _roles_and_groups,
    "lambda.amazonaws.com": _functions,
    "s3.amazonaws.com": _buckets,
    "secretsmanager.amazonaws.com": _secrets,
    "scheduler.amazonaws.com": _schedules,
    "sns.amazonaws.com": _topics,
    "sqs.amazonaws.com": _queues,
    "ssm.amazonaws.com": _parameters,
}
