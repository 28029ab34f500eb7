"""botocore's errors -> Keyward's, by code and never by message."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from keyward.errors import STALE_CREDENTIALS, GatewayError, NotFoundError, SlotsFullError

RETRYABLE = STALE_CREDENTIALS | frozenset(
    {
        "ConcurrentModification",
        "ConflictException",
        "EntityTemporarilyUnmodifiable",
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServerException",
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
Identity Center says ConflictException while an earlier write spreads, and where two calls about the
same assignment overlap; it says so, too, of a name that is taken, which no retry mends.
Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_CreateAccountAssignment.html
"""

NOT_FOUND = frozenset({"NoSuchEntity", "ResourceNotFoundException", "AccountNotFoundException"})
SLOTS_FULL = frozenset({"LimitExceeded", "ServiceQuotaExceededException"})

KMS = "KMS_"
"""How the Reason begins where not the object is missing, but the key that encrypts all of them.

Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_DescribePermissionSet.html
"""

IDENTITY_STORE = "IDENTITY_STORE"
"""The ResourceType where not a user or group is missing, but the whole identity store.

Source: https://docs.aws.amazon.com/singlesignon/latest/IdentityStoreAPIReference/API_DescribeUser.html
"""


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
            if missing := _more_is_missing(error.response):
                message = f"{message}: {missing}"
                raise GatewayError(message, code=missing) from error
            raise NotFoundError(message, code=code) from error
        if code in SLOTS_FULL:
            raise SlotsFullError(message, code=code) from error
        retryable = code in RETRYABLE or status >= 500  # noqa: PLR2004 - HTTP server errors
        raise GatewayError(message, code=code, retryable=retryable) from error
    except BotoCoreError as error:
        message = f"{what}: {type(error).__name__}"
        raise GatewayError(message, code=type(error).__name__, retryable=True) from error


def _more_is_missing(response: Mapping[str, object]) -> str | None:
    """What is missing where it isn't the object: its absence would be taken for the object's."""
    reason, kind = response.get("Reason"), response.get("ResourceType")
    if isinstance(reason, str) and reason.startswith(KMS):
        return reason
    return IDENTITY_STORE if kind == IDENTITY_STORE else None
