"""Findings and notices as Slack's Block Kit. Pure. Text of others is only ever plain text."""
