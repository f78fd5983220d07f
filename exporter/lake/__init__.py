"""The lake: its tables and partitions, Parquet and data files, staging and publishing, and its stores."""
