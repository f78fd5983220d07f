"""Refusals in AWS's form: a status, a name for ``x-amzn-ErrorType`` and a message for the body."""

from __future__ import annotations

import msgspec

# The errors of botocore's model, whose text is ``exceptionMessage``. All others come from what stands before the
# service, which checks signatures and counts calls, and where other services of AWS write ``message``.
_MODELLED = frozenset(
    {"AccessDeniedException", "ConflictException", "InternalServerException", "PendingVerification"}
    | {"ResourceNotFoundException", "ServiceQuotaExceededException", "ValidationException"}
)
#: AWS documents that the name may be followed by a colon and a URL; this is the URL that other services put there.
_ERROR_URL = "http://internal.amazon.com/coral/com.amazon.ivs/"


class Refusal(Exception):
    """A call that is refused. ``code`` is None for an answer that names no error."""

    def __init__(self, status: int, code: str | None, message: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.extra_headers = headers

    def body(self) -> bytes:
        """The answer's body, in the form of the part that refuses."""
        return msgspec.json.encode({"exceptionMessage" if self.code in _MODELLED else "message": self.message})

    def headers(self, *, with_url: bool) -> dict[str, str]:
        """The answer's headers; ``with_url`` adds the colon and the URL that AWS may add to the name."""
        headers = dict(self.extra_headers)
        if self.code is not None:
            headers["x-amzn-ErrorType"] = f"{self.code}:{_ERROR_URL}" if with_url else self.code
        return headers


def invalid(message: str) -> Refusal:
    """What AWS answers to a request that its model does not allow."""
    return Refusal(400, "ValidationException", message)


def denied(message: str) -> Refusal:
    """What AWS answers where the caller has no permission."""
    return Refusal(403, "AccessDeniedException", message)


def not_found(message: str) -> Refusal:
    """What GetParticipant is documented to answer for what does not exist."""
    return Refusal(404, "ResourceNotFoundException", message)
