"""Secrets Manager: what Slack's token and addresses are. Nothing of it is ever logged."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from keyward.errors import GatewayError
from keyward.gateways.translate import translated

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

KEPT = timedelta(minutes=5)
"""A secret is read again after so long: it may have been rotated."""


class SecretsGateway:
    """Reads secrets that are JSON objects of strings."""

    def __init__(self, *, client: "SecretsManagerClient", clock: Callable[[], datetime]) -> None:
        self._client, self._clock = client, clock
        self._known: dict[str, tuple[datetime, dict[str, str]]] = {}

    def document(self, arn: str) -> dict[str, str]:
        """The secret's members. Raises GatewayError, whose text has nothing of the secret in it.

        Source: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
        """
        now = self._clock()
        known = self._known.get(arn)
        if known is not None and now - known[0] < KEPT:
            return known[1]
        with translated(f"GetSecretValue {arn}"):
            text = self._client.get_secret_value(SecretId=arn).get("SecretString", "")
        found = _members(text)
        if found is None:
            message = f"secret {arn} is no JSON object of strings: see docs/slack.md"
            raise GatewayError(message, code="BadSecret")
        self._known[arn] = (now, found)
        return found


def _members(text: str) -> dict[str, str] | None:
    try:
        value = json.loads(text)
    except ValueError:  # its text quotes the secret: it goes no further
        return None
    if not isinstance(value, dict) or not all(isinstance(it, str) for it in value.values()):
        return None
    return value
