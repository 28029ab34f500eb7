"""Lambda: one of Keyward's functions has another work."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from keyward.gateways.translate import translated

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


class FunctionsGateway:
    """Asks functions, without waiting for what they do."""

    def __init__(self, client: "LambdaClient") -> None:
        self._client = client

    def start(self, function: str, event: Mapping[str, object]) -> None:
        """Has the function run once with this event; its own retries follow. Raises GatewayError.

        Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async.html
        """
        with translated(f"Invoke {function}"):
            self._client.invoke(
                FunctionName=function, InvocationType="Event", Payload=json.dumps(event).encode()
            )
