"""Proof of who invokes the operator: a request to STS that only the caller could have signed.

Lambda doesn't tell a function who invoked it. So the caller signs GetCallerIdentity, as for EKS and
Vault, and the operator has STS say whose signature that is. Pure: what is asked, and what of it is
believed. The signature covers the request that it comes with, by a header: a proof that was made
for something else, or for another service, proves nothing here.

Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from keyward.errors import RequestError

HEADER = "x-keyward-request"
"""The signed header that names what the proof is for."""

LASTS = timedelta(seconds=60)
SKEW = timedelta(seconds=60)
"""A proof is believed for so long, by clocks that are so far apart.

STS takes it for fifteen minutes, whatever X-Amz-Expires says: the date is looked at here.
Source: https://github.com/kubernetes-sigs/aws-iam-authenticator/blob/master/pkg/token/token.go
"""

ASKED = {"Action": "GetCallerIdentity", "Version": "2011-06-15"}

SIGNED = {
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
}
TOKEN = "X-Amz-Security-Token"  # noqa: S105 - the parameter's name

_AWS = re.compile(r"^https://sts(\.[a-z0-9-]+)?\.amazonaws\.com(\.cn)?/?$")
_ARN = re.compile(r"<Arn>(arn:[^<>\s]{1,2040})</Arn>")


def endpoint(*, client: str, region: str) -> str:
    """Where STS is asked: in the region itself; `client` is a client's, which may be a local AWS's.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_region-endpoints.html
    """
    found = _AWS.match(client)
    return f"https://sts.{region}.amazonaws.com{found[2] or ''}" if found else client.rstrip("/")


def bound_to(request: Mapping[str, object]) -> str:
    """What the header says of this request: a digest of all of it but the proof."""
    rest = {name: value for name, value in request.items() if name != "proof"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def path_of(proof: str, *, endpoint: str, now: datetime) -> str:
    """Path and query to ask that endpoint for, put together anew from a proof that is one.

    Raises RequestError, whose text has nothing of the proof in it.
    """
    try:
        parts = urlsplit(proof)
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)
    except ValueError:  # its text quotes the proof: it goes no further
        parts, query = urlsplit(""), []
    why = _wrong_with(parts, query, there=urlsplit(endpoint), now=now)
    if why is not None:
        raise refused(why)
    return f"/?{urlencode(query, quote_via=quote)}"


def _wrong_with(
    parts: SplitResult, query: list[tuple[str, str]], *, there: SplitResult, now: datetime
) -> str | None:
    named = dict(query)
    why: str | None = None
    if (parts.scheme, parts.netloc) != (there.scheme, there.netloc):
        why = f"it is not for {there.netloc}"
    elif parts.path not in {"", "/"} or parts.fragment:
        why = "it is not for STS's own path"
    elif len(query) != len(named) or named.keys() - {TOKEN} != SIGNED | ASKED.keys():
        why = "it is no presigned GetCallerIdentity"
    elif not ASKED.items() <= named.items():
        why = "it asks for something else"
    elif named["X-Amz-SignedHeaders"] != f"host;{HEADER}":
        why = f"its signature does not cover {HEADER}"
    elif not _is_new(named["X-Amz-Date"], now):
        why = "it is too old, or a clock is wrong"
    return why


def _is_new(date: str, now: datetime) -> bool:
    try:
        signed = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return False
    return -SKEW <= now - signed <= LASTS + SKEW


def arn_in(answer: str, *, account: str) -> str:
    """The ARN that STS names, which must be of this account: who may invoke the operator is there.

    Raises RequestError: anybody can have an account of their own, and a name in it.
    """
    found: list[str] = _ARN.findall(answer)
    if len(found) != 1:
        why = "STS names nobody"
        raise refused(why)
    if found[0].split(":")[4:5] != [account]:
        why = f"it is not by somebody of account {account}"
        raise refused(why)
    return found[0]


def refused(why: str) -> RequestError:
    """The error that says why a proof is none."""
    return RequestError(f"the proof of who calls is refused: {why}")
