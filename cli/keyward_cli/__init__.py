"""The operator's command line. Never shipped to Lambda."""
