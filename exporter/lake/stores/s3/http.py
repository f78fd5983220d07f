"""How S3's client sends: no redirect is followed, and no answer is read without a bound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiobotocore.httpsession import AIOHTTPSession

if TYPE_CHECKING:
    from collections.abc import Awaitable

#: A page of S3's lists has 1,000 entries of some kilobytes at most (Amazon S3 API Reference, "ListObjectsV2").
ANSWER_BYTES_MAX = 64 << 20
_STATUS_NOT_SUCCESS = 300


class TooLong(Exception):
    """An answer that is longer than any of S3's."""


class BoundedSession(AIOHTTPSession):  # type: ignore[misc] # aiobotocore has no types
    """aiobotocore's way to send, with two differences.

    aiohttp would follow a redirect with the signature for the address before, which the new one refuses, and would show
    a stranger there what was asked. Unfollowed, it reaches botocore, which signs anew for the bucket's region.

    What is not a stream is read here, up to :data:`ANSWER_BYTES_MAX`.
    """

    async def send(self, request: Any) -> Any:  # noqa: ANN401 - botocore's own
        """Send, and read the answer where it is none that its reader takes piece by piece. Raises :class:`TooLong`."""
        is_stream, request.stream_output = request.stream_output, True
        answer = await super().send(request)
        request.stream_output = is_stream
        if not is_stream or answer.status_code >= _STATUS_NOT_SUCCESS:
            answer._content = await _whole(answer.raw)  # noqa: SLF001 - where botocore's answer keeps what was read
        return answer

    async def _get_session(self, proxy_url: str | None) -> Any:  # noqa: ANN401 - aiohttp's, and one that looks like it
        return _Straight(await super()._get_session(proxy_url))


class _Straight:
    """An HTTP session that follows no redirect."""

    def __init__(self, session: Any) -> None:  # noqa: ANN401 - aiohttp's
        self._session = session

    def request(self, method: str, **options: Any) -> Awaitable[Any]:  # noqa: ANN401 - aiohttp's own
        answer: Awaitable[Any] = self._session.request(method, allow_redirects=False, **options)
        return answer


async def _whole(answer: Any) -> bytes:  # noqa: ANN401 - aiohttp's
    """An answer's body."""
    pieces: list[bytes] = []
    size_bytes = 0
    is_whole = False
    try:
        async for piece in answer.content.iter_any():
            pieces.append(piece)
            size_bytes += len(piece)
            if size_bytes > ANSWER_BYTES_MAX:
                break
        else:
            is_whole = True
    finally:
        if not is_whole:
            answer.close()  # else the rest of it would be taken for the next answer's beginning
    if not is_whole:
        raise TooLong
    return b"".join(pieces)
