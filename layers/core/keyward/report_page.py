"""A report as one page: HTML that needs no network, in light and dark, on paper and by ear."""

from keyward.report import Report


def page(report: Report) -> str:
    """The whole page. Nothing in it that came from an event or a person is markup."""
    raise NotImplementedError
