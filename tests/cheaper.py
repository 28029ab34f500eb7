"""What botocore and moto do at every call or session, and tests can have for less.

Every answer stays the same. Of a call under moto these took half of the time, and reading the
models of AWS's APIs took most of what makes a client.
"""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import AUTH_TYPE_MAPS, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import NoCredentialsError
from botocore.loaders import create_loader
from botocore.session import Session
from botocore.useragent import UserAgentString
from moto.core import responses
from moto.core.utils import camelcase_to_underscores

MODELS = create_loader()


def share_models(session: Session) -> None:
    """Gives the session the models that are read already; boto3 adds its own folder each time."""
    MODELS.search_paths[:] = dict.fromkeys(MODELS.search_paths)
    session.register_component("data_loader", MODELS)


class NamedOnly(SigV4Auth):
    """Says who calls what, as moto reads it; what goes to another process is signed as ever."""

    def add_auth(self, request: AWSRequest) -> None:
        """Raises NoCredentialsError where there are none."""
        if self.credentials is None:
            raise NoCredentialsError
        if not str(urlsplit(request.url).hostname).endswith(".amazonaws.com"):
            super().add_auth(request)
            return
        request.context["timestamp"] = "20260301T120000Z"
        scope = self.scope(request)
        request.headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none"
        )
        if self.credentials.token:
            request.headers["X-Amz-Security-Token"] = self.credentials.token


def short_user_agent(_of: UserAgentString) -> str:
    """Says nothing of the machine, in place of a dozen parts that are checked at each call."""
    return "Boto3"


@dataclass(frozen=True, slots=True)
class MethodNames:
    """The names of a class's methods: moto makes the whole list to look for one."""

    owner: Any

    def __contains__(self, name: str) -> bool:
        """Whether the class has such a method now: tests add some, and take them away."""
        return inspect.isfunction(getattr(self.owner, name, None))


def install() -> None:
    """Makes it cheaper in this process, for good."""
    for owner, name, cheap in (
        (Session, "_register_data_loader", share_models),
        (UserAgentString, "to_string", short_user_agent),
        (responses, "method_names_from_class", MethodNames),
        (responses, "camelcase_to_underscores", functools.cache(camelcase_to_underscores)),
    ):
        assert hasattr(owner, name), f"{name} is gone: see what does its work now"
        setattr(owner, name, cheap)
    assert "v4" in AUTH_TYPE_MAPS
    AUTH_TYPE_MAPS["v4"] = NamedOnly
