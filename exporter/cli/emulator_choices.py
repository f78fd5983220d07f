"""What ``emulate`` can be asked for: its help names it, and its action checks it."""

PAGING = ("live", "snapshot")
UNKNOWN = ("not_found", "empty", "denied")
#: Where stages are, unless other regions are named.
REGION = "us-east-1"
