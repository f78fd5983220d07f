"""What can be wrong with JSON that is read from a lake."""

from __future__ import annotations

#: What msgspec raises where it is handed anything at all: its own errors and those of texts are ValueErrors.
UNREADABLE = (ValueError, RecursionError)
