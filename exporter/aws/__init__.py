"""The way to AWS's accounts: whose credentials, which sessions and roles, and what AWS's libraries raise."""
