"""Makes reports: reads the ledger and the last inventory, and leaves page, CSV and JSON in S3."""

from datetime import datetime

from keyward.services import Services


def make(id_: str, *, by: str, services: Services, now: datetime) -> dict[str, str]:
    """Makes the report of this id, and returns its files by kind: html, csv, json (keys in S3).

    Made once: of an id that is there already the files are returned. Raises GatewayError.
    """
    raise NotImplementedError


def make_weekly(*, services: Services, now: datetime) -> None:
    """Makes the week's report and has people told, with links of limited life. Raises GatewayError."""
    raise NotImplementedError


def start(*, by: str, services: Services, now: datetime) -> str:
    """Has the report function make a report, and returns its id. Raises GatewayError."""
    raise NotImplementedError


def found(id_: str, *, services: Services, now: datetime) -> dict[str, str] | None:
    """Links to the files of a report, by kind; None while it is being made. Raises GatewayError."""
    raise NotImplementedError
