"""Both templates as CloudFormation would deploy them: transformed, with references followed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from samtranslator.parser.parser import Parser  # type: ignore[import-untyped]
from samtranslator.translator.translator import Translator  # type: ignore[import-untyped]
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

type Json = Any
type Resource = dict[str, Json]

PROJECT = Path(__file__).parents[2]
HUB_ACCOUNT = "111122223333"
MEMBER_ACCOUNT = "444455556666"
ORGANIZATION = "o-exampleorgid"
ROOT = "r-exam"
ABSENT = object()

# What Ref and Fn::GetAtt return, for the types whose return value a test looks at.
REFERENCES = {
    "AWS::DynamoDB::Table": "{TableName}",
    "AWS::Events::EventBus": "{Name}",
    "AWS::IAM::Role": "{RoleName}",
    "AWS::Lambda::Function": "{FunctionName}",
    "AWS::Logs::LogGroup": "{LogGroupName}",
    "AWS::S3::Bucket": "{BucketName}",
    "AWS::Scheduler::ScheduleGroup": "{Name}",
    "AWS::SNS::Topic": "arn:aws:sns:{here}:{TopicName}",
    "AWS::SQS::Queue": "https://sqs.{region}.amazonaws.com/{account}/{QueueName}",
}
NAMES = {"BucketName"}
"""Properties in which a reference stands that those forms need."""
ATTRIBUTES = {
    ("AWS::DynamoDB::Table", "Arn"): "arn:aws:dynamodb:{here}:table/{TableName}",
    ("AWS::DynamoDB::Table", "StreamArn"): "arn:aws:dynamodb:{here}:table/{TableName}/stream/1",
    ("AWS::Events::EventBus", "Arn"): "arn:aws:events:{here}:event-bus/{Name}",
    ("AWS::Events::Rule", "Arn"): "arn:aws:events:{here}:rule/{of_bus}{Name}",
    ("AWS::IAM::Group", "Arn"): "arn:aws:iam::{account}:group{Path}{GroupName}",
    ("AWS::IAM::Role", "Arn"): "arn:aws:iam::{account}:role{Path}{RoleName}",
    ("AWS::KMS::Key", "Arn"): "arn:aws:kms:{here}:key/of-keyward",
    ("AWS::Lambda::Function", "Arn"): "arn:aws:lambda:{here}:function:{FunctionName}",
    ("AWS::Logs::LogGroup", "Arn"): "arn:aws:logs:{here}:log-group:{LogGroupName}:*",
    ("AWS::S3::Bucket", "Arn"): "arn:aws:s3:::{BucketName}",
    ("AWS::SQS::Queue", "Arn"): "arn:aws:sqs:{here}:{QueueName}",
    ("AWS::SQS::Queue", "QueueName"): "{QueueName}",
}


@dataclass(frozen=True, slots=True)
class Stack:
    """A template as deployed into this account and region; nothing in it is a reference."""

    account: str
    region: str
    parameters: dict[str, str]
    resources: dict[str, Resource]
    outputs: dict[str, Json]

    def of_type(self, kind: str) -> dict[str, Resource]:
        """Return the properties of each resource of this type, by logical id."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self.resources.items()
            if resource["Type"] == kind
        }

    def properties(self, logical_id: str) -> Resource:
        """Return the properties of one resource.

        Raises:
            KeyError: there is none, or its condition is false.

        """
        found: Resource = self.resources[logical_id]["Properties"]
        return found

    def statements(self, role: str) -> list[Resource]:
        """Return the statements of a role, each with Action and Resource as lists."""
        return [
            {
                **statement,
                "Action": listed(statement["Action"]),
                "Resource": listed(statement["Resource"]),
            }
            for policy in self.properties(role)["Policies"]
            for statement in policy["PolicyDocument"]["Statement"]
        ]

    def patterns(self, bus: str) -> dict[str, Resource]:
        """Return the event patterns on a bus (`default`, `keyward`), by the rule's name."""
        return {
            rule["Name"]: rule["EventPattern"]
            for rule in self.of_type("AWS::Events::Rule").values()
            if rule.get("EventBusName", "default") == bus and "EventPattern" in rule
        }


def hub(*, region: str = "us-east-1", **parameters: str) -> Stack:
    """Return the hub's stack in the management account; other parameters have their defaults."""
    required = {"OrganizationId": ORGANIZATION, "OrganizationRootId": ROOT}
    return deployed("template.yaml", HUB_ACCOUNT, region, required | parameters)


def member(
    *,
    account: str = MEMBER_ACCOUNT,
    region: str = "us-east-1",
    hub_region: str = "eu-central-1",
    delegated: str = "",
) -> Stack:
    """Return the stack that a StackSet of the hub puts into an account.

    `delegated` is the account that administers Identity Center beside the hub's, if there is one.
    """
    given = {
        "HubAccountId": HUB_ACCOUNT,
        "HubRegion": hub_region,
        "OrganizationId": ORGANIZATION,
        "DelegatedAdministrator": delegated,
    }
    return deployed("member/template.yaml", account, region, given)


def deployed(path: str, account: str, region: str, given: dict[str, str]) -> Stack:
    """Return a template as a stack."""
    template = transformed(path)
    parameters = {
        name: str(given.get(name, definition.get("Default", "")))
        for name, definition in template["Parameters"].items()
    }
    assert set(given) <= set(parameters), "a parameter that the template lacks"
    return Deployment(template, account, region, parameters).stack()


@cache
def transformed(path: str) -> Resource:
    """Return the template after the SAM transform, with short tags written out."""
    template: Resource = yaml_parse((PROJECT / path).read_text())
    if "Transform" not in template:
        return template
    for resource in template["Resources"].values():
        for code in {"CodeUri", "ContentUri"} & set(resource.get("Properties", {})):
            resource["Properties"][code] = "s3://packaged/artifact"
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name="us-east-1"))
    result: Resource = translator.translate(template, {})
    return result


@dataclass(slots=True)
class Deployment:
    """Follows references the way that CloudFormation does, as far as these templates need it."""

    template: Resource
    account: str
    region: str
    parameters: dict[str, str]
    conditions: dict[str, bool] = field(default_factory=dict)

    def stack(self) -> Stack:
        """Return what is deployed."""
        resources = {
            name: {key: self.value(part) for key, part in resource.items()}
            for name, resource in self.template["Resources"].items()
            if "Condition" not in resource or self.holds(resource["Condition"])
        }
        outputs = {
            name: self.value(output["Value"])
            for name, output in self.template.get("Outputs", {}).items()
        }
        return Stack(self.account, self.region, self.parameters, resources, outputs)

    def holds(self, condition: str) -> bool:
        """Return whether a named condition is true."""
        if condition not in self.conditions:
            self.conditions[condition] = self.value(self.template["Conditions"][condition])
        return self.conditions[condition]

    def value(self, node: Json) -> Json:
        """Return a node without references."""
        match node:
            case {"Ref": name}:
                return self.reference(name)
            case {"Fn::GetAtt": [name, attribute]}:
                return self.attribute(name, attribute)
            case {"Fn::GetAtt": str(path)}:
                return self.attribute(*path.split(".", 1))
            case {"Fn::Sub": str(text)}:
                return re.sub(r"\$\{([^}]+)\}", lambda found: self.substitute(found[1]), text)
            case {"Fn::FindInMap": [name, key, of]}:
                return self.template["Mappings"][name][self.value(key)][of]
            case {"Fn::If": [condition, yes, no]}:
                return self.value(yes if self.holds(condition) else no)
            case {"Fn::Equals": [one, other]}:
                return self.value(one) == self.value(other)
            case {"Fn::Not": [operand]}:
                return not self.value(operand)
            case {"Fn::And": operands}:
                return all(self.value(operand) for operand in operands)
            case {"Fn::Or": operands}:
                return any(self.value(operand) for operand in operands)
            case {"Condition": str(name)} if len(node) == 1:
                return self.holds(name)
            case {"Fn::Join": [separator, parts]}:
                return separator.join(self.value(parts))
            case dict():
                assert not any(key.startswith("Fn::") for key in node), f"unknown function: {node}"
                parts = {key: self.value(part) for key, part in node.items()}
                return {key: part for key, part in parts.items() if part is not ABSENT}
            case list():
                return [part for part in map(self.value, node) if part is not ABSENT]
        return node

    def reference(self, name: str) -> Json:
        """Return what Ref returns."""
        pseudo = {
            "AWS::AccountId": self.account,
            "AWS::NoValue": ABSENT,
            "AWS::Partition": "aws",
            "AWS::Region": self.region,
            "AWS::StackName": "keyward",
        }
        if name in pseudo:
            return pseudo[name]
        if name in self.parameters:
            given = self.parameters[name]
            is_list = self.template["Parameters"][name]["Type"] == "CommaDelimitedList"
            return given.split(",") if is_list else given
        return self.named(name, REFERENCES.get(self.type_of(name), f"ref-{name}"))

    def attribute(self, name: str, attribute: str) -> str:
        """Return what Fn::GetAtt returns."""
        form = ATTRIBUTES.get((self.type_of(name), attribute), f"att-{name}-{attribute}")
        return self.named(name, form)

    def type_of(self, name: str) -> str:
        """Return the type of a resource."""
        found: str = self.template["Resources"][name]["Type"]
        return found

    def named(self, name: str, form: str) -> str:
        """Return a form of ATTRIBUTES or REFERENCES with a resource's own names in it."""
        properties = {
            key: self.value(one) if key in NAMES else one
            for key, one in self.template["Resources"][name].get("Properties", {}).items()
        }
        return form.format(
            here=f"{self.region}:{self.account}",
            region=self.region,
            account=self.account,
            of_bus="keyward/" if "EventBusName" in properties else "",
            **{"Path": "/"} | {key: one for key, one in properties.items() if isinstance(one, str)},
        )

    def substitute(self, name: str) -> str:
        """Return what stands for `${name}` in Fn::Sub."""
        if name.startswith("!"):
            return f"${{{name[1:]}}}"
        found = self.attribute(*name.split(".", 1)) if "." in name else self.reference(name)
        return str(found)


def listed(value: Json) -> list[Json]:
    """Return the value, or the one value, as a list."""
    return value if isinstance(value, list) else [value]


def matches(pattern: Resource, event: Json) -> bool:
    """Return whether EventBridge would deliver the event, for the operators in these templates.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
    """
    for key, wanted in pattern.items():
        if key == "$or":
            if not any(matches(branch, event) for branch in wanted):
                return False
            continue
        found = event.get(key, ABSENT) if isinstance(event, dict) else ABSENT
        if isinstance(wanted, dict):
            if not matches(wanted, found):
                return False
        elif not any(fits(one, value) for one in wanted for value in listed(found)):
            return False
    return True


def fits(wanted: Json, value: Json) -> bool:
    """Return whether one value satisfies one alternative of a pattern."""
    match wanted:
        case {"exists": exists}:
            return bool((value is not ABSENT) == exists)
        case {"equals-ignore-case": text}:
            return isinstance(value, str) and value.casefold() == text.casefold()
        case {"prefix": {"equals-ignore-case": prefix}}:
            return isinstance(value, str) and value.casefold().startswith(prefix.casefold())
        case {"prefix": prefix}:
            return isinstance(value, str) and value.startswith(prefix)
        case {"suffix": suffix}:
            return isinstance(value, str) and value.endswith(suffix)
        case {"wildcard": wildcard}:
            return isinstance(value, str) and fnmatchcase(value, wildcard)
        case {"anything-but": others}:
            return value is not ABSENT and value not in listed(others)
        case dict():
            message = f"unknown operator: {wanted}"
            raise ValueError(message)
    return bool(wanted == value)


def reaches_bus(stack: Stack, event: Resource) -> bool:
    """Return whether a rule of the stack's default bus puts the event on Keyward's."""
    return any(
        matches(rule["EventPattern"], event)
        and any(target["Arn"].endswith(":event-bus/keyward") for target in rule["Targets"])
        for rule in stack.of_type("AWS::Events::Rule").values()
        if "EventPattern" in rule and rule.get("EventBusName", "default") == "default"
    )


def branches(pattern: Resource) -> Iterator[Resource]:
    """Yield a pattern once for each of its alternatives, with `$or` taken apart at both depths."""
    for outer in pattern.get("$or", [{}]):
        whole = {**pattern, **outer}
        detail = {**pattern.get("detail", {}), **outer.get("detail", {})}
        for inner in detail.get("$or", [{}]):
            yield {**whole, "detail": {**detail, **inner}}
