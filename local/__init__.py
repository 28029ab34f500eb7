"""An AWS organization on one machine: for demo, integration tests and trying things out."""
