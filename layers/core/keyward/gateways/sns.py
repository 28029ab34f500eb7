"""The topics that people subscribe to."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from keyward.gateways.translate import translated

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient


class SnsGateway:
    """Publishes alerts: to the alert topic, or to another that settings route them to."""

    def __init__(self, *, client: "SNSClient", topic_arn: str) -> None:
        self._client = client
        self._topic_arn = topic_arn

    def publish(
        self,
        *,
        subject: str,
        body: str,
        attributes: Mapping[str, str],
        topic_arn: str | None = None,
        by_https: str | None = None,
    ) -> str:
        """Publishes one message; its id. Raises GatewayError.

        `by_https` is what subscribers by HTTPS get in place of `body`.
        Source: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html (MessageStructure)
        """
        message: dict[str, str] = {"Message": body}
        if by_https is not None:
            parts = {"default": body, "https": by_https}
            message = {
                "Message": json.dumps(parts, ensure_ascii=False),
                "MessageStructure": "json",
            }
        with translated(f"Publish to {topic_arn or 'the alert topic'}"):
            return self._client.publish(
                TopicArn=topic_arn or self._topic_arn,
                Subject=subject,
                **message,
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value}
                    for name, value in attributes.items()
                    if value
                },
            )["MessageId"]
