"""botocore's errors -> Keyward's, by code and never by message."""

from collections.abc import Iterator
from contextlib import contextmanager

from keyward.errors import STALE_CREDENTIALS, GatewayError, NotFoundError, SlotsFullError

RETRYABLE = STALE_CREDENTIALS | frozenset(
    {
        "ConcurrentModification",
        "EntityTemporarilyUnmodifiable",
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServiceError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceFailure",
        "ServiceFailureException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
"""Codes of what passes by itself.

IAM wants several minutes for EntityTemporarilyUnmodifiable and ConcurrentModification.
Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteLoginProfile.html
"""

NOT_FOUND = frozenset({"NoSuchEntity", "ResourceNotFoundException", "AccountNotFoundException"})
SLOTS_FULL = frozenset({"LimitExceeded"})


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raises GatewayError, or a subclass, in place of botocore's errors within the block.

    `what` names the call and its object: it begins the error's text. Network failures are
    retryable, as are server errors of status 500 and above.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - on first use only

    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "Unknown")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        message = f"{what}: {code}"
        if code in NOT_FOUND:
            raise NotFoundError(message, code=code) from error
        if code in SLOTS_FULL:
            raise SlotsFullError(message, code=code) from error
        retryable = code in RETRYABLE or status >= 500  # noqa: PLR2004 - HTTP server errors
        raise GatewayError(message, code=code, retryable=retryable) from error
    except BotoCoreError as error:
        message = f"{what}: {type(error).__name__}"
        raise GatewayError(message, code=type(error).__name__, retryable=True) from error
