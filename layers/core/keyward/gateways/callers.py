"""STS, asked by a request that somebody else signed: it says whose signature that is."""

import http.client
from collections.abc import Callable
from urllib.parse import urlsplit

from keyward.errors import GatewayError, RequestError

SECONDS = 3.0
ANSWER_BYTES = 16_384
FAULT = 500


class CallersGateway:
    """Asks one endpoint, without credentials of our own; it follows no redirect and no proxy."""

    def __init__(self, endpoint: Callable[[], str]) -> None:
        self._endpoint = endpoint

    @property
    def endpoint(self) -> str:
        """Where it asks: scheme and host."""
        return self._endpoint()

    def identity(self, path: str, *, header: tuple[str, str]) -> str:
        """STS's answer. Raises RequestError where it refuses, GatewayError where it can't be asked.

        No text has anything of the path in it: it is as good as a password for a minute.
        """
        there = urlsplit(self.endpoint)
        kind = (
            http.client.HTTPSConnection if there.scheme == "https" else http.client.HTTPConnection
        )
        connection = kind(there.netloc, timeout=SECONDS)
        try:
            connection.request("GET", path, headers=dict([header]))
            reply = connection.getresponse()
            body = reply.read(ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            message = f"STS cannot be asked who calls: {type(error).__name__}"
            raise GatewayError(message, code=type(error).__name__, retryable=True) from None
        finally:
            connection.close()
        if reply.status >= FAULT:
            message = f"STS cannot say who calls: it answers {reply.status}"
            raise GatewayError(message, code=str(reply.status), retryable=True)
        if reply.status != http.client.OK:
            message = f"the proof of who calls is refused: STS answers {reply.status}"
            raise RequestError(message)
        return body.decode("utf-8", "replace")
