"""What a media file is by its own bytes, whatever its name says, and whether its headers add up."""

from __future__ import annotations

import errno
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_HTML = re.compile(rb"<(!doctype\s+html|html|head|body|script)\b", re.I)
# What may stand before it: how it begins and ends.
_PROLOGUE = ((b"<!--", b"-->"), (b"<?xml", b">"))
_HEAD = 512
# What a file of that name begins with; (offset, bytes).
_MAGIC: dict[str, tuple[tuple[int, bytes], ...]] = {
    ".wav": ((0, b"RIFF"), (0, b"RF64"), (0, b"RIFX"), (0, b"NIST_1A")),
    ".flac": ((0, b"fLaC"), (0, b"ID3")),
    ".ogg": ((0, b"OggS"),),
    ".opus": ((0, b"OggS"),),
    **dict.fromkeys((".mp4", ".m4a", ".m4v", ".mov"), tuple((4, kind) for kind in (b"ftyp", b"moov", b"mdat",
                    b"wide", b"free", b"skip"))),
    **dict.fromkeys((".mkv", ".webm", ".mka"), ((0, b"\x1a\x45\xdf\xa3"),)),
    ".avi": ((8, b"AVI "),),
    ".mp3": ((0, b"ID3"), (0, b"\xff")),
}  # fmt: skip
_UNKNOWN_SIZES = (0, 0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Content:
    """What the first bytes of a file say.

    Attributes:
        flag: why it cannot be sound: `clip_empty`, `clip_is_text`, `clip_is_html`, `clip_is_lfs_pointer`;
            empty where it may be.
        misnamed: it may be sound, but not of the kind that its name says.
        container: it is for the reader of containers (MP4, Matroska, AVI, raw AAC), not for plain files. So
            is an MP3 that does not state its length: libsndfile would guess it, and stop there.
    """

    flag: str = ""
    misnamed: bool = False
    container: bool = False


def open_file(path: Path) -> BinaryIO:
    """Opens a regular file; a pipe of that name would be waited for, and a device might never end.

    Raises:
        OSError: it cannot be opened, or is something else.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
    return path.open("rb")


def look(path: Path) -> Content:
    """Looks at the beginning of a file.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    with open_file(path) as file:
        head = file.read(_HEAD)
        container = _is_container(head) or _is_mp3_of_unknown_length(file, head)
    if not head:
        return Content("clip_empty")
    if head.startswith(LFS_POINTER):
        return Content("clip_is_lfs_pointer")
    if _is_html(head):
        return Content("clip_is_html")
    if _is_text(head):
        return Content("clip_is_text")
    expected = _MAGIC.get(path.suffix.lower())
    misnamed = expected is not None and not any(head[at : at + len(kind)] == kind for at, kind in expected)
    return Content("", misnamed, container)


def _is_html(head: bytes) -> bool:
    place = 0
    while True:
        rest = head[place:].lstrip()
        place = len(head) - len(rest)
        end = next((end for begin, end in _PROLOGUE if rest[: len(begin)].lower() == begin), None)
        if end is None:
            return _HTML.match(rest) is not None
        found = head.find(end, place)
        if found < 0:
            return False
        place = found + len(end)


def _is_text(head: bytes) -> bool:
    # The header of a NIST file is text, with sound behind it.
    if head.startswith(b"NIST_1A"):
        return False
    if any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head):
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        # The last character may be cut in two.
        return error.start > len(head) - 4 and len(head) == _HEAD
    return True


def _is_container(head: bytes) -> bool:
    boxes = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
    adts = len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0
    avi = head[:4] == b"RIFF" and head[8:12] == b"AVI "
    return head[4:8] in boxes or head[:4] == b"\x1a\x45\xdf\xa3" or adts or avi


def _is_mp3_of_unknown_length(file: BinaryIO, head: bytes) -> bool:
    """Whether an MP3 has no Xing or Info header, after the tag that it may begin with."""
    first = head
    if head[:3] == b"ID3":
        size = 0
        for byte in head[6:10]:
            size = size << 7 | byte & 0x7F
        file.seek(10 + size)
        first = file.read(_HEAD)
    is_frame = len(first) > 1 and first[0] == 0xFF and first[1] & 0xE0 == 0xE0
    return is_frame and not any(name in first[:200] for name in (b"Xing", b"Info"))


def is_cut_short(path: Path) -> bool:
    """Whether a file ends before its own structure does: RIFF and RF64 sizes, MP4 boxes, Ogg's last page.

    Sizes that a streaming encoder left open (0 or 0xFFFFFFFF) say nothing.

    Raises:
        OSError: the file cannot be read.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(48)
        if head[:4] in (b"RIFF", b"RIFX"):
            return _riff_is_short(file, head, size)
        if head[:4] == b"RF64" and head[12:16] == b"ds64":
            return int.from_bytes(head[20:28], "little") + 7 > size
        if head[4:8] == b"ftyp":
            return _boxes_are_short(file, size)
        if head[:4] == b"OggS":
            return _ogg_is_short(file, size)
    return False


def _riff_is_short(file: BinaryIO, head: bytes, size: int) -> bool:
    order = "little" if head[:4] == b"RIFF" else "big"
    announced = int.from_bytes(head[4:8], order)  # type: ignore[arg-type]
    # The last byte may be padding that was never written.
    if announced not in _UNKNOWN_SIZES and announced + 7 > size:
        return True
    place = 12
    while place + 8 <= size:
        file.seek(place)
        chunk = file.read(8)
        length = int.from_bytes(chunk[4:], order)  # type: ignore[arg-type]
        if chunk[:4] == b"data":
            return length not in _UNKNOWN_SIZES and place + 8 + length > size
        place += 8 + length + length % 2
    return False


def _boxes_are_short(file: BinaryIO, size: int) -> bool:
    place = 0
    while place + 8 <= size:
        file.seek(place)
        box = file.read(16)
        length = int.from_bytes(box[:4], "big")
        if length == 0:
            return False
        if length == 1:
            length = int.from_bytes(box[8:16], "big")
        if length < 8:
            return True
        place += length
    return place > size


def _ogg_is_short(file: BinaryIO, size: int) -> bool:
    # A page holds 65,307 bytes at most; the last one of a stream is marked as such.
    file.seek(max(0, size - 65_400))
    tail = file.read()
    last = tail.rfind(b"OggS")
    return last < 0 or len(tail) < last + 6 or not tail[last + 5] & 4
