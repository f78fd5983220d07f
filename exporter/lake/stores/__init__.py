"""The two stores: a directory (`directory`) and S3 (`s3`), opened from an address (`open`)."""
