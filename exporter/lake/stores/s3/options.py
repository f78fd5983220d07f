"""What the user has passed on to S3. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class S3Options:
    """The settings of the section ``[s3]``, in the values that S3 knows; None is not passed.

    The owner goes with every call. Encryption and ACL go with whatever makes an object. The storage class is for data
    files alone: records are small and read by every run, and the cold classes bill each object as 128 KiB or more, and
    each read (Amazon S3 User Guide, "Storage classes").
    """

    sse: str | None = None
    kms_key_id: str | None = None
    expected_bucket_owner: str | None = None
    storage_class: str | None = None
    acl: str | None = None

    def of_call(self) -> dict[str, str]:
        """Members of any call."""
        return _given(ExpectedBucketOwner=self.expected_bucket_owner)

    def of_record(self) -> dict[str, str]:
        """Further members of the call that makes a record."""
        return _given(ServerSideEncryption=self.sse, SSEKMSKeyId=self.kms_key_id, ACL=self.acl)

    def of_data(self) -> dict[str, str]:
        """Further members of the call that begins a data file."""
        return self.of_record() | _given(StorageClass=self.storage_class)


def _given(**members: str | None) -> dict[str, str]:
    return {name: value for name, value in members.items() if value}
