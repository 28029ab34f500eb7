"""Small classes round boto3 clients: the only callers of AWS."""
