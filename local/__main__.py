"""Run the organization until Ctrl-C, and say how to reach it."""

from __future__ import annotations

import contextlib
import threading

from local.emulator import MANAGEMENT_ACCOUNT, REGION
from local.organization import running_organization


def main() -> None:
    """Start, print what a shell needs to reach the hub, and wait for Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt), running_organization(print) as organization:
        print(f"\nexport AWS_ENDPOINT_URL={organization.emulator.endpoint}")
        print(f"export AWS_DEFAULT_REGION={REGION} AWS_SECRET_ACCESS_KEY=test")
        print(f"export AWS_ACCESS_KEY_ID={MANAGEMENT_ACCOUNT}   # root of the management account")
        for name, account in organization.accounts.items():
            print(f"# {account}  {name}")
        print("\nCtrl-C stops it.", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
