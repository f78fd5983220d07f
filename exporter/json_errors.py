"""What can be wrong with JSON that anybody may have written."""

from __future__ import annotations

#: What reading it raises, by msgspec or the standard library: a ValueError for what is no JSON, no text, or of another
#: shape; the other for what is nested too deeply.
UNREADABLE = (ValueError, RecursionError)
