"""Keyward keeps long-lived credentials out of an AWS organization."""
