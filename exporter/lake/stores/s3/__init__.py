"""A lake on S3: the store, and the way to it."""
