"""E-mail by SES, to the person concerned."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client


class MailGateway:
    """Sends plain text from one address."""

    def __init__(self, *, client: "SESV2Client", sender: str) -> None:
        self._client, self._sender = client, sender

    def send(self, to: str, *, subject: str, body: str) -> None:
        """Sends one message. Raises GatewayError."""
        raise NotImplementedError
