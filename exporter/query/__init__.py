"""Questions to a lake, in SQL: its tables and views in DuckDB, on a disk or on S3, read and never written."""
