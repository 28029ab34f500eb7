"""Keyward's forwarding rules in one account and region: whether they forward."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from keyward.errors import NotFoundError
from keyward.gateways.translate import translated

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient


MISSING = "is missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwarderGateway:
    """EventBridge of one account and region, read only. Every method raises GatewayError."""

    account: str
    region: str
    client: "EventBridgeClient"

    def wrong(self, rule: str, *, bus: str) -> str:
        """What keeps the rule on the default bus from sending events to that bus; "": nothing.

        `bus` is how the ARN of a bus goes on behind the partition.

        Two calls. Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DescribeRule.html
        """
        where = f"rule {rule} in {self.account}, {self.region}"
        try:
            with translated(f"DescribeRule {where}"):
                state = self.client.describe_rule(Name=rule).get("State")
            with translated(f"ListTargetsByRule {where}"):
                targets = self.client.list_targets_by_rule(Rule=rule)["Targets"]
        except NotFoundError:
            return MISSING
        if state == "DISABLED":
            return "is disabled"
        if not any(target["Arn"].endswith(f":{bus}") for target in targets):
            return f"doesn't send to {bus}"
        return ""
