"""Events: decoded from raw pages, given their ids, and made rows of a table."""
