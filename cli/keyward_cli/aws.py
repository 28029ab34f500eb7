"""The caller's own AWS: clients on first use, and the operator function that does every act."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keyward.errors import GatewayError, NotFoundError, RequestError
from keyward.gateways.ssm import SsmGateway
from keyward.gateways.translate import translated
from keyward_cli.progress import progress
from keyward_cli.proof import signed

if TYPE_CHECKING:
    from boto3 import Session

OPERATOR = "keyward-operator"
INVOKE = f"Invoke {OPERATOR}"
OPERATOR_SECONDS = 180
"""A release reads back what it did; its answer takes that long at most."""

AGAIN = "AWS is asked too often just now: try again in a minute"
MAY_NOT = "your credentials don't allow it"

HINTS = {
    "NoCredentialsError": "no AWS credentials: aws sso login, then set AWS_PROFILE or --profile",
    "ProfileNotFound": "no such profile in ~/.aws/config",
    "NoRegionError": "no region: set AWS_REGION or --region to the hub's region",
    "TokenRetrievalError": "your session has ended: aws sso login",
    "SSOTokenLoadError": "your session has ended: aws sso login",
    "UnauthorizedSSOTokenError": "your session has ended: aws sso login",
    "ExpiredToken": "your credentials have expired: aws sso login",
    "ExpiredTokenException": "your credentials have expired: aws sso login",
    "EndpointConnectionError": "AWS cannot be reached from here",
    "ConnectTimeoutError": "AWS cannot be reached from here",
    "ReadTimeoutError": "no answer came in time; it may have happened all the same: look first",
    "InvalidClientTokenId": "AWS doesn't know these credentials: aws sso login",
    "UnrecognizedClientException": "AWS doesn't know these credentials: aws sso login",
    "PartialCredentialsError": "half of the AWS credentials is missing",
    "ConfigParseError": "~/.aws/config can't be read",
    "InvalidRegionError": "no region is called so: give the hub's with --region",
    "Throttling": AGAIN,
    "ThrottlingException": AGAIN,
    "TooManyRequestsException": AGAIN,
    "AccessDenied": MAY_NOT,
    "AccessDeniedException": MAY_NOT,
}
"""What to do about an error, by its code."""

DENIED = frozenset({"AccessDenied", "AccessDeniedException"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who runs the command line, and in which region; None means what the environment says."""

    profile: str | None = None
    region: str | None = None

    def session(self) -> "Session":
        """A boto3 session. Raises GatewayError where the profile does not exist."""
        import boto3  # noqa: PLC0415 - `explain` and `settings validate` never need it

        with translated("AWS credentials"):
            return boto3.Session(profile_name=self.profile, region_name=self.region)

    def ssm(self) -> SsmGateway:
        """Parameter Store in the hub's region. Raises GatewayError."""
        session = self.session()
        with translated("Parameter Store"):
            return SsmGateway(session.client("ssm"))

    def arn(self) -> str:
        """The caller's ARN. Raises GatewayError."""
        session = self.session()
        with translated("GetCallerIdentity"):
            return session.client("sts").get_caller_identity()["Arn"]


class Answer(dict[str, object]):
    """What the operator answered. What it lacks is one line: Keyward there may be an older one."""

    def __missing__(self, name: str) -> object:
        message = (
            f"the answer of {OPERATOR} lacks {name}: deploy the version of Keyward that this "
            "command line is of"
        )
        raise GatewayError(message)


def ask(caller: Caller, act: str, **arguments: object) -> dict[str, object]:
    """What the operator function answers. It is called once: an act must not be repeated unseen.

    Raises RequestError with the operator's own words, or GatewayError where it can't be reached.
    """
    from botocore.config import Config  # noqa: PLC0415 - on first use only

    once = Config(read_timeout=OPERATOR_SECONDS, retries={"total_max_attempts": 1})
    request: dict[str, object] = {"act": act, "by": caller.arn(), **arguments}
    session = caller.session()
    request["proof"] = signed(session, request)
    with progress(f"{OPERATOR} is asked: {act}"), _refused(session), translated(INVOKE):
        reply = session.client("lambda", config=once).invoke(
            FunctionName=OPERATOR, Payload=json.dumps(request).encode()
        )
        payload = reply["Payload"].read()
    if "FunctionError" in reply:
        message = f"{OPERATOR} failed at {act}; its log says why: sam logs --name {OPERATOR}"
        raise GatewayError(message, code=reply["FunctionError"])
    try:
        answer = Answer(json.loads(payload))
    except (TypeError, ValueError) as error:
        message = f"{OPERATOR} answered {act} with what is no JSON object: is it Keyward's?"
        raise GatewayError(message) from error
    if not answer.get("ok"):
        raise RequestError(str(answer.get("error", f"{OPERATOR} refused {act}")))
    return answer


@contextmanager
def _refused(session: "Session") -> Iterator[None]:
    """Raises GatewayError with what to do where Lambda knows no such function, or lets nobody."""
    try:
        yield
    except NotFoundError as error:
        message = (
            f"Keyward isn't deployed in {session.region_name}: AWS knows no {OPERATOR} there; give "
            "the hub's region with --region and its account's profile with --profile"
        )
        raise GatewayError(message) from error
    except GatewayError as error:
        if error.code not in DENIED:
            raise
        message = f"{error}: you need lambda:InvokeFunction on function {OPERATOR}"
        raise GatewayError(message) from error


def one_line(error: Exception) -> str:
    """An error as a caller reads it: with what to do about it where that is known."""
    hint = HINTS.get(error.code) if isinstance(error, GatewayError) else None
    return f"{error}: {hint}" if hint else str(error)
