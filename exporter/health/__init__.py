"""The health of a lake: its status, whether it is as its logs say, and its repair."""
