"""E-mail by SES, to the person concerned."""

from typing import TYPE_CHECKING

from keyward.errors import GatewayError
from keyward.gateways.translate import translated

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

REFUSED = frozenset({"MessageRejected", "BadRequestException"})
"""What SES says of an address that it doesn't take, and, in its sandbox, doesn't know.

Source: https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html
"""


class MailGateway:
    """Sends plain text from one address."""

    def __init__(self, *, client: "SESV2Client", sender: str) -> None:
        self._client, self._sender = client, sender

    def send(self, to: str, *, subject: str, body: str) -> bool:
        """Sends one message. False where SES refuses the address. Raises GatewayError.

        No error has the address in its text.
        """
        try:
            with translated("SendEmail"):
                self._client.send_email(
                    FromEmailAddress=self._sender,
                    Destination={"ToAddresses": [to]},
                    Content={
                        "Simple": {
                            "Subject": {"Data": subject, "Charset": "UTF-8"},
                            "Body": {"Text": {"Data": body, "Charset": "UTF-8"}},
                        }
                    },
                )
        except GatewayError as error:
            if error.code in REFUSED:
                return False
            raise
        return True
