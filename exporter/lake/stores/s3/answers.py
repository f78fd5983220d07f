"""Whether an answer is S3's, and whole. Pure.

A page of a proxy, a captive portal or an ingress comes with any status, 200 too. Taken for S3's it would be an empty
list, a record that was made, a file that is gone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from exporter.aws.network import wants_tls
from exporter.text import NAME_LENGTH_MAX, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The first element of each answer that has a body. Source: Amazon S3 API Reference, the operations' "Response Syntax".
_ROOTS = {
    "ListObjectsV2": "ListBucketResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "CompleteMultipartUpload": "CompleteMultipartUploadResult",
}
_ERROR = "Error"
_FIRST_ELEMENT = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:[\w.-]+:)?([\w.-]+)[\s/>]", re.DOTALL)
_SUCCESS, _PART, _NOT_SUCCESS = 200, 206, 300
#: What each answer carries, by the client's method.
_MEMBERS = {
    "create_multipart_upload": ("UploadId",),
    "upload_part": ("ETag",),
    "put_object": ("ETag",),
    "get_object": ("ETag",),
    "head_object": ("ETag", "ContentLength"),
}
#: The entries of each list, what each of them carries, and one of what leads to the next page.
_LISTS = {
    "list_objects_v2": ("Contents", ("Key",), ("NextContinuationToken",)),
    "list_multipart_uploads": ("Uploads", ("Key", "UploadId"), ("NextKeyMarker", "NextUploadIdMarker")),
}


class NotOfS3(Exception):
    """Something else than S3 has answered, with this ``status``; or S3, with half an answer.

    ``wants_tls`` says that it takes TLS alone, and was asked without it.
    """

    def __init__(self, said: str, status: int = _SUCCESS, *, wants_tls: bool = False) -> None:
        super().__init__(said)
        self.said = said
        self.status = status
        self.wants_tls = wants_tls


def check_raw(operation: str, status: int, headers: Mapping[str, str], body: bytes | None) -> None:
    """Raise :class:`NotOfS3` where an answer can't be S3's. ``body`` is None where it is read later, as a stream."""
    is_html = headers.get("content-type", "").lower().startswith("text/html")
    if status >= _NOT_SUCCESS:
        # S3's refusals are XML, or have no body at all.
        if body and not body.isspace() and _first_element(body) != _ERROR:
            raise NotOfS3(_kind(headers), status, wants_tls=wants_tls(status, body))
        return
    root = _ROOTS.get(operation)
    if root is not None:
        if _first_element(body or b"") not in {root, _ERROR}:  # an error may come with status 200; botocore knows that
            raise NotOfS3(_kind(headers), status)
    elif is_html and body != b"" and status != _PART:  # a part is what was asked for, whatever it is
        raise NotOfS3(_kind(headers), status)


def check_parsed(method: str, answer: Mapping[str, Any], prefix: str) -> None:
    """Raise :class:`NotOfS3` where an answer lacks what it must carry, or lists what does not begin with ``prefix``."""
    for member in _MEMBERS.get(method, ()):
        if not answer.get(member) and answer.get(member) != 0:
            raise NotOfS3(f"an answer without {member}")
    if method not in _LISTS:
        return
    name, members, nexts = _LISTS[method]
    for entry in answer.get(name, ()):
        if not all(entry.get(member) for member in members):
            raise NotOfS3(f"a list with an entry without {' or '.join(members)}")
        if not entry["Key"].startswith(prefix):
            raise NotOfS3("a list of other names than was asked for")
    if answer.get("IsTruncated") and not any(answer.get(member) for member in nexts):
        raise NotOfS3("a list that goes on, and does not say where")


def _first_element(body: bytes) -> str:
    match = _FIRST_ELEMENT.match(body[:4096])
    return match[1].decode() if match else ""


def _kind(headers: Mapping[str, str]) -> str:
    kind = one_line(headers.get("content-type", "").partition(";")[0], NAME_LENGTH_MAX)
    return f"something that is not S3's ({kind})" if kind else "something that is not S3's"
