"""The lake's tables, and all folders of files that records name."""
