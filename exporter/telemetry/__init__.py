"""What a run says of itself while it goes on: logs, and what failed, by its cause."""
