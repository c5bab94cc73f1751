"""Lines and boxes as bytes, for the columns that SQL never looks into. Exact: what goes in comes out.

Little-endian; one record per line (two offsets, four doubles) or per box (four doubles).
Not a wire format: only rows that this program wrote itself, and that the cipher authenticated, come back here.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct

from app.core.values import Box, TextLine

_LINE = Struct("<2I4d")
_BOX = Struct("<4d")


def pack_lines(lines: Iterable[TextLine]) -> bytes:
    pack = _LINE.pack
    return b"".join(pack(line.start, line.end, line.box.x0, line.box.y0, line.box.x1, line.box.y1) for line in lines)


def unpack_lines(packed: bytes) -> tuple[TextLine, ...]:
    return tuple(TextLine(start, end, Box(x0, y0, x1, y1)) for start, end, x0, y0, x1, y1 in _LINE.iter_unpack(packed))


def pack_boxes(boxes: Iterable[Box]) -> bytes:
    pack = _BOX.pack
    return b"".join(pack(box.x0, box.y0, box.x1, box.y1) for box in boxes)


def unpack_boxes(packed: bytes) -> tuple[Box, ...]:
    return tuple(Box(*corners) for corners in _BOX.iter_unpack(packed))
