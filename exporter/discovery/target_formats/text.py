"""From the bytes of a list to its text: unpacked, decoded, and bounded, whatever they are.

One piece at a time is in memory. What a list can't be (an archive, another compression, a picture) is refused by
the name of what was found.
"""

from __future__ import annotations

import codecs
import io
import tempfile
import zlib
from dataclasses import dataclass
from itertools import chain
from typing import IO, TYPE_CHECKING

from exporter.discovery.target_formats.columns import shown
from exporter.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PARQUET_MAGIC = b"PAR1"
#: Bytes of a list, unpacked, that are read at most; a row takes some 130.
SIZE_BYTES_MAX = 4 << 30
#: Bytes of a Parquet list that are put aside, where it does not come from a file that can be read anywhere.
_SPOOLED_BYTES_MAX = 1 << 30
_SPOOLED_IN_MEMORY_BYTES = 8 << 20
_PIECE_BYTES = 1 << 16
_LINE_LENGTH_MAX = 1 << 20
# Lists of ids that are all different unpack to ten times their size, a query's, which repeats them, to a hundred times.
_GZIP_FREE_BYTES = 16 << 20
_GZIP_RATIO_MAX = 500
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31
_NOT_LISTS = (
    (b"PK\x03\x04", "a ZIP archive or a spreadsheet (.xlsx): save it as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet (.xls): save it as CSV"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd: unpack it, or use gzip"),
    (b"\xfd7zXZ", "compressed with xz: unpack it, or use gzip"),
    (b"BZh9", "compressed with bzip2: unpack it, or use gzip"),
    (b"\x04\x22\x4d\x18", "compressed with lz4: unpack it, or use gzip"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it"),
    (b"ARROW1", "an Arrow file: write it as Parquet or CSV"),
    (b"PARE", "encrypted Parquet: write it in the clear"),
    (b"Obj\x01", "an Avro file: write it as Parquet or CSV"),
    (b"SQLite format 3", "a SQLite database: write the list as CSV"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture"),
    (b"<", "HTML or XML, not a list"),
    (codecs.BOM_UTF32_LE, "UTF-32: write it as UTF-8"),
    (codecs.BOM_UTF32_BE, "UTF-32: write it as UTF-8"),
)
_ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(slots=True)
class InputPosition:
    """Where a list is being read, which every refusal begins with. 0 stands for no line, and no item of an array."""

    name: str
    line: int = 0
    item: int = 0

    def refusal(self, reason: str) -> UsageError:
        """The error that says what is wrong here."""
        line = f":{self.line}" if self.line else ""
        item = f" item {self.item}:" if self.item else ""
        return UsageError(f"{self.name}{line}:{item} {reason}")


def pieces_of(position: InputPosition, file: IO[bytes]) -> Iterator[bytes]:
    """The bytes of a list, unpacked where they are gzip.

    Raises :class:`UsageError` where they are too many, or some other form that is known and can't be read.
    """
    pieces = _bounded(position, iter(lambda: file.read(_PIECE_BYTES), b""))
    first = next(pieces, b"")
    if first.startswith(_GZIP_MAGIC):
        pieces = _bounded(position, _unpacked(position, chain([first], pieces)))
        first = next(pieces, b"")
        if first.startswith(_GZIP_MAGIC):
            raise position.refusal("is packed with gzip twice: unpack it once")
    for magic, what in _NOT_LISTS:
        if first.lstrip().startswith(magic):
            raise position.refusal(f"is {what}")
    return chain([first], pieces)


def texts_of(position: InputPosition, pieces: Iterable[bytes]) -> Iterator[str]:
    """The text of UTF-8 or UTF-16, piece by piece. Raises :class:`UsageError`, with the line, where it is neither."""
    pieces = iter(pieces)
    first = next(pieces, b"")
    mark, encoding = next(((mark, name) for mark, name in _ENCODINGS if first.startswith(mark)), (b"", ""))
    decoder = codecs.getincrementaldecoder(encoding or _guessed(first))()
    lines = begun_bytes = 0
    for piece in chain([first.removeprefix(mark)], pieces, [b""]):
        try:
            text = decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            bad = (
                error.start + len(piece) - len(error.object)
            )  # less than 0 where an earlier piece ends within a letter
            before = piece[: max(bad, 0)]
            position.line = lines + before.count(b"\n") + 1
            column = bad - before.rfind(b"\n") - 1 if b"\n" in before else begun_bytes + bad
            raise position.refusal(
                f"the text is not {_name_of(error.encoding)}, at byte {column} of the line"
            ) from None
        lines += piece.count(b"\n")
        begun_bytes = len(piece) - piece.rfind(b"\n") - 1 if b"\n" in piece else begun_bytes + len(piece)
        yield text


def lines_of(position: InputPosition, texts: Iterable[str]) -> Iterator[str]:
    """The lines of a text, with their ends, none longer than what is held at once; ``position`` goes along.

    A line ends with a line feed, a carriage return (as spreadsheets on a Mac may write it), or both.
    """
    begun = ""
    for text in _with_line_feeds(texts):
        *whole, begun = (begun + text).split("\n")
        for line in whole:
            position.line += 1
            _check_length(position, line)
            yield line + "\n"
        if len(begun) > _LINE_LENGTH_MAX:
            position.line += 1
            _check_length(position, begun)
    if begun:
        position.line += 1
        yield begun


def _with_line_feeds(texts: Iterable[str]) -> Iterator[str]:
    decoder = io.IncrementalNewlineDecoder(None, translate=True)
    for text in texts:
        yield decoder.decode(text)
    yield decoder.decode("", final=True)


def seekable(position: InputPosition, pieces: Iterable[bytes]) -> IO[bytes]:
    """A file with all of ``pieces``, which can be read anywhere: in memory while it is small."""
    file = tempfile.SpooledTemporaryFile(_SPOOLED_IN_MEMORY_BYTES)  # noqa: SIM115 - the caller closes it
    size_bytes = 0
    for piece in pieces:
        size_bytes += len(piece)
        if size_bytes > _SPOOLED_BYTES_MAX:
            file.close()
            raise position.refusal(
                f"is Parquet of more than {_SPOOLED_BYTES_MAX:,} bytes, and no file that can be read"
            )
        file.write(piece)
    file.seek(0)
    return file


def _check_length(position: InputPosition, line: str) -> None:
    if len(line) > _LINE_LENGTH_MAX:
        raise position.refusal(f"the line is longer than {_LINE_LENGTH_MAX:,} characters: it begins with {shown(line)}")


def _bounded(position: InputPosition, pieces: Iterable[bytes]) -> Iterator[bytes]:
    size_bytes = 0
    for piece in pieces:
        size_bytes += len(piece)
        if size_bytes > SIZE_BYTES_MAX:
            raise position.refusal(f"is longer than {SIZE_BYTES_MAX:,} bytes")
        yield piece


def _unpacked(position: InputPosition, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """What gzip holds: one member after another, as `cat` and parallel packers leave them."""
    inflater = zlib.decompressobj(_GZIP_WINDOW)
    packed = unpacked = 0
    try:
        for piece in pieces:
            packed += len(piece)
            left = piece
            while left:
                if inflater.eof:
                    left = left.lstrip(b"\0")  # what fills up a tape's block
                    inflater = zlib.decompressobj(_GZIP_WINDOW) if left else inflater
                    continue
                text = inflater.decompress(left, _PIECE_BYTES)
                left = inflater.unconsumed_tail or inflater.unused_data
                unpacked += len(text)
                if unpacked > max(_GZIP_FREE_BYTES, _GZIP_RATIO_MAX * packed):
                    raise position.refusal(f"unpacks to more than {_GZIP_RATIO_MAX} times its size: no list does that")
                if text:
                    yield text
        if not inflater.eof:
            yield inflater.flush()
    except zlib.error as error:
        raise position.refusal(f"is gzip that can't be unpacked: {shown(str(error))}") from None
    if not inflater.eof:
        raise position.refusal("is gzip that is cut short")


def _guessed(first: bytes) -> str:
    """The encoding of a text without a mark: ASCII letters have a zero in UTF-16, before them or after."""
    pair = first[:2]
    if len(pair) == len(b"ab") and pair.count(0) == 1:
        return "utf-16-be" if pair[0] == 0 else "utf-16-le"
    return "utf-8"


def _name_of(encoding: str) -> str:
    return "UTF-16" if encoding.startswith("utf-16") else "UTF-8"
