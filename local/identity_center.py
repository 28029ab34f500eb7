"""Serve Identity Center and its identity store, which ministack lacks: moto's server, as AWS is.

This file runs in a process of its own, in the development environment: moto and ministack want
different versions of botocore. Callers don't see it. Ministack checks who asks and whether a
policy allows it (local/additions.py), then asks here, with the caller's account.

What AWS does and moto doesn't stands in local/sso_admin.py, which tests use inside their own
process too. Here is only what a process needs: it ends with its parent, learns the organization's
accounts from each call, and can be told over HTTP what happens next:

    POST /behaviour/set     {"looks_in_progress": 5}
    POST /behaviour/refuse  {"operation": "CreateAccountAssignment", "code": "ConflictException"}
    POST /behaviour/fail    {"operation": "DeleteAccountAssignment", "reason": "..."}
    POST /behaviour/lose    {"operation": "ProvisionPermissionSet", "effective": false}
    POST /behaviour/not_ready {"account": "111122223333", "times": 2}
    POST /behaviour/settle  {}
"""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import run_simple
from werkzeug.wrappers import Request, Response

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from local import sso_admin

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

# Long enough for a look or two to find a request in progress, short enough to wait for.
SECONDS_IN_PROGRESS = 3.0


def main() -> None:
    """Serve until told to stop."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    owner, region = os.environ["MINISTACK_ACCOUNT_ID"], os.environ["MINISTACK_REGION"]
    behaviour = sso_admin.Behaviour(
        owner=owner,
        home_region=region,
        seconds_in_progress=SECONDS_IN_PROGRESS,
        one_after_another=True,
    )
    sso_admin.install(behaviour)
    run_simple(
        "127.0.0.1",
        int(os.environ["KEYWARD_PORT"]),
        Server(behaviour, owner, region),
        threaded=True,
        request_handler=MotoRequestHandler,
    )


def end_with_parent() -> None:
    """End once the parent has gone, however it went: standard input closes then."""
    while os.read(0, 1):
        pass
    os._exit(0)


@dataclass(frozen=True, slots=True)
class Server:
    """Moto's own server, and before it what tells the behaviour."""

    behaviour: sso_admin.Behaviour
    owner: str
    region: str
    moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = environ["PATH_INFO"]
        if path.startswith("/behaviour"):
            told = self.told(path.removeprefix("/behaviour").strip("/"), Request(environ))
            return told(environ, start_response)
        if accounts := environ.get("HTTP_X_KEYWARD_ACCOUNTS"):
            self.behaviour.accounts = frozenset(accounts.split(","))
        answer: Iterable[bytes] = self.moto(environ, start_response)
        return answer

    def told(self, act: str, request: Request) -> Response:
        """Change what happens next; an act or an argument that isn't known is status 400."""
        arguments = json.loads(request.get_data() or b"{}")
        match act:
            case "":
                return Response("serving")
            case "settle":
                sso_admin.settle_all(self.owner, self.region)
            case "set" if arguments.keys() <= vars(self.behaviour).keys():
                for name, value in arguments.items():
                    setattr(self.behaviour, name, value)
            case "refuse":
                self.behaviour.refuse(**arguments)
            case "fail":
                self.behaviour.fail(**arguments)
            case "lose":
                self.behaviour.lose(**arguments)
            case "not_ready":
                self.behaviour.not_ready(**arguments)
            case _:
                return Response(f"unknown: {act} {arguments}", status=400)
        return Response("done")


if __name__ == "__main__":
    main()
