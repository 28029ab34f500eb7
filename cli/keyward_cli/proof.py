"""Proof of who asks: a question to STS that the caller's credentials sign, and the operator puts.

Signing costs no call. See keyward/proving.py for what the operator believes.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from keyward import proving
from keyward.gateways.translate import translated

if TYPE_CHECKING:
    from boto3 import Session


def signed(session: "Session", request: Mapping[str, object]) -> str | None:
    """A presigned GetCallerIdentity that is good for this request only, for a minute.

    None where there are no credentials, and the request fails anyway. Nobody may log it. Raises
    GatewayError.
    """
    from botocore.auth import SigV4QueryAuth  # noqa: PLC0415 - on first use only
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415 - on first use only

    with translated("AWS credentials"):
        client = session.client("sts")
        credentials = session.get_credentials()
    if credentials is None:
        return None
    region = client.meta.region_name
    asked = AWSRequest(
        method="GET",
        url=proving.endpoint(client=client.meta.endpoint_url, region=region) + "/",
        params=dict(proving.ASKED),
        headers={proving.HEADER: proving.bound_to(request)},
    )
    expires = int(proving.LASTS.total_seconds())
    with translated("AWS credentials"):
        frozen = credentials.get_frozen_credentials()
        SigV4QueryAuth(frozen, "sts", region, expires=expires).add_auth(asked)
    return str(asked.url)
