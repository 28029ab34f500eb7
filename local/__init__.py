"""An AWS organization on one machine: for the demo, the integration tests, and trying things out."""
