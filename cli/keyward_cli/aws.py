"""The caller's own AWS: clients on first use, and the operator function that does every act."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keyward.errors import GatewayError, RequestError
from keyward.gateways.ssm import SsmGateway
from keyward.gateways.translate import translated
from keyward_cli.proof import signed

if TYPE_CHECKING:
    from boto3 import Session

OPERATOR = "keyward-operator"
OPERATOR_SECONDS = 180
"""A release reads back what it did; its answer takes that long at most."""

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
}


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


def ask(caller: Caller, act: str, **arguments: object) -> dict[str, object]:
    """What the operator function answers. It is called once: an act must not be repeated unseen.

    Raises RequestError with the operator's own words, or GatewayError where it can't be reached.
    """
    from botocore.config import Config  # noqa: PLC0415 - on first use only

    once = Config(read_timeout=OPERATOR_SECONDS, retries={"total_max_attempts": 1})
    request: dict[str, object] = {"act": act, "by": caller.arn(), **arguments}
    session = caller.session()
    request["proof"] = signed(session, request)
    with translated(f"Invoke {OPERATOR}"):
        reply = session.client("lambda", config=once).invoke(
            FunctionName=OPERATOR, Payload=json.dumps(request).encode()
        )
        payload = reply["Payload"].read()
    if "FunctionError" in reply:
        message = f"{OPERATOR} failed at {act}; its log says why: sam logs --name {OPERATOR}"
        raise GatewayError(message, code=reply["FunctionError"])
    answer: dict[str, object] = json.loads(payload)
    if not answer.get("ok"):
        raise RequestError(str(answer.get("error", f"{OPERATOR} refused {act}")))
    return answer


def one_line(error: Exception) -> str:
    """An error as a caller reads it: with what to do about it where that is known."""
    hint = HINTS.get(error.code) if isinstance(error, GatewayError) else None
    return f"{error}: {hint}" if hint else str(error)
