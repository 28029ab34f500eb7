"""What a press of a button in Slack asks for -> the operator's act that it is, and the answer."""

from datetime import datetime

from keyward.services import Services


def pressed(body: str, *, id_: str, services: Services, now: datetime) -> None:
    """Does what one message of slack_ingress asks for, and answers whoever pressed. `id_`: SQS's id.

    A second delivery of the same message finishes what the first began.

    Refused, logged and counted: what is too old, was pressed before, or is pressed by somebody whom
    settings don't list for it. Raises GatewayError(retryable) where a later delivery may mend it.
    """
    raise NotImplementedError
