"""Reads the header of a GGUF file without trusting a single number in it.

llama.cpp's own reader has overflowed its heap on crafted headers more than once, so a file passes here first.
Every count, length and offset is held against the bytes that are really there before it is used, nothing is
allocated by an untrusted count, and any contradiction ends in JingyanError with a short `detail`:
    MODEL_NOT_GGUF      another kind of file
    MODEL_DAMAGED       a GGUF that contradicts itself or is cut short
    MODEL_UNSUPPORTED   sound, but of a version, byte order or number format we do not know
Not here: what the numbers mean for memory (plan.py) and whether llama.cpp can run the architecture (load.py).
Format: github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

from app.core.errors import ErrorCode, JingyanError

MAX_HEADER_BYTES = 128 * 1024 * 1024  # the largest tokenizers (260,000 tokens and merges) take about 16 MiB
MAX_KEYS = 4_096  # real files have under 100
MAX_TENSORS = 65_536  # a 92-layer mixture of experts has under 2,000; per-expert tensors under 40,000
MAX_NAME_BYTES = 63  # GGML_MAX_NAME is 64 with its closing zero
MAX_KEY_BYTES = 65_535  # the format's own bound
MAX_KEPT_STRING_BYTES = 512 * 1024  # the longest chat templates are about 20 KiB; longer strings are skipped
MAX_KEPT_ARRAY = 4_096  # per-layer numbers; token lists are walked, not kept
MAX_DIMS = 4
MAX_ELEMENTS = 1 << 45  # 35 T weights, twenty times the largest model there is
DEFAULT_ALIGNMENT = 32
_WINDOW_BYTES = 1 << 20

Scalar: TypeAlias = int | float | bool | str
Value: TypeAlias = Scalar | tuple[Scalar, ...]

_STRING, _ARRAY = 8, 9
_SCALARS: Mapping[int, struct.Struct] = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_U32, _U64 = _SCALARS[4], _SCALARS[10]

# ggml type id: (name, weights per block, bytes per block); a test compares it with the ggml we ship
TENSOR_TYPES: Mapping[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 36),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36),
    41: ("Q1_0", 128, 18),
    42: ("Q2_0", 64, 18),
}

_SPLIT_NAME = re.compile(r"^(?P<prefix>.*)-(?P<no>\d{5})-of-(?P<count>\d{5})\.gguf$", re.DOTALL)
MAX_SPLIT_PARTS = 1_024


@dataclass(frozen=True, slots=True)
class TensorInfo:
    name: str
    shape: tuple[int, ...]
    type_id: int
    offset: int  # from the start of the data section
    size_bytes: int

    @property
    def elements(self) -> int:
        total = 1
        for length in self.shape:
            total *= length
        return total


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """One file's header, checked. `values` holds scalars, short strings and short number arrays;
    `array_lengths` the length of every array, also of those too long to keep."""

    version: int
    values: Mapping[str, Value]
    array_lengths: Mapping[str, int]
    tensors: tuple[TensorInfo, ...]
    data_offset: int
    file_bytes: int

    @property
    def architecture(self) -> str:
        return self.text("general.architecture")

    @property
    def tensor_bytes(self) -> int:
        return sum(tensor.size_bytes for tensor in self.tensors)

    @property
    def parameters(self) -> int:
        return sum(tensor.elements for tensor in self.tensors)

    @property
    def quantisation(self) -> str:
        """The tensor type that holds most of the bytes, e.g. "Q4_K"."""
        bytes_of: dict[int, int] = {}
        for tensor in self.tensors:
            bytes_of[tensor.type_id] = bytes_of.get(tensor.type_id, 0) + tensor.size_bytes
        return TENSOR_TYPES[max(bytes_of, key=lambda type_id: bytes_of[type_id])][0] if bytes_of else ""

    @property
    def chat_template(self) -> str:
        return self.text("tokenizer.chat_template")

    @property
    def vocab_size(self) -> int:
        return self.array_lengths.get("tokenizer.ggml.tokens", 0)

    def text(self, key: str) -> str:
        """The string under `key`, "" when it is missing or not a string."""
        value = self.values.get(key)
        return value if isinstance(value, str) else ""

    def number(self, key: str, default: int = 0) -> int:
        """The non-negative integer under `<architecture>.<key>` (the largest one of an array), else `default`."""
        value = self.values.get(f"{self.architecture}.{key}")
        if isinstance(value, tuple):
            value = max((item for item in value if isinstance(item, int)), default=default)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        return default

    def numbers(self, key: str) -> tuple[int, ...]:
        """The integers under `<architecture>.<key>` when it is an array, else ()."""
        value = self.values.get(f"{self.architecture}.{key}")
        return tuple(item for item in value if isinstance(item, int)) if isinstance(value, tuple) else ()


def read_header(path: Path) -> GgufHeader:
    """The checked header of one GGUF file. See the module for what it raises."""
    try:
        with path.open("rb") as file:
            return _read(file, path.stat().st_size)
    except FileNotFoundError as error:
        raise JingyanError(ErrorCode.MODEL_MISSING, name=path.name) from error
    except OSError as error:
        raise JingyanError(ErrorCode.FILE_UNREADABLE, name=path.name) from error
    except _ContradictionError as error:
        raise JingyanError(error.code, name=path.name, detail=str(error)) from error


def split_parts(path: Path) -> tuple[Path, ...]:
    """All files of a split model in order, the first one first; just `path` when it is in one piece.

    Goes by the name, as llama.cpp does (NAME-00001-of-00003.gguf). Raises MODEL_MISSING when a part is not there.
    """
    match = _SPLIT_NAME.match(path.name)
    if match is None:
        return (path,)
    count = int(match["count"])
    if not 1 <= count <= MAX_SPLIT_PARTS:
        raise JingyanError(ErrorCode.MODEL_DAMAGED, name=path.name, detail="split_count")
    parts = tuple(path.with_name(f"{match['prefix']}-{no:05d}-of-{count:05d}.gguf") for no in range(1, count + 1))
    for part in parts:
        if not part.is_file():
            raise JingyanError(ErrorCode.MODEL_MISSING, name=part.name)
    return parts


class _ContradictionError(Exception):
    """A header that does not add up; the text names the place, never content of the file."""

    def __init__(self, detail: str, code: ErrorCode = ErrorCode.MODEL_DAMAGED) -> None:
        super().__init__(detail)
        self.code = code


class _Cursor:
    """Moves forward through a file, a window at a time; refuses to pass the end or MAX_HEADER_BYTES."""

    def __init__(self, file: BinaryIO, file_bytes: int) -> None:
        self._file = file
        self._end = min(file_bytes, MAX_HEADER_BYTES)
        self._window = b""
        self._window_at = 0
        self.at = 0

    def take(self, count: int) -> bytes:
        start = self._reach(count)
        self.at += count
        return self._window[start : start + count]

    def number(self, kind: struct.Struct) -> int:
        start = self._reach(kind.size)
        self.at += kind.size
        value: int = kind.unpack_from(self._window, start)[0]
        return value

    def skip(self, count: int) -> None:
        if count > self.left:
            raise _ContradictionError("cut_short")
        self.at += count

    @property
    def left(self) -> int:
        return self._end - self.at

    def _reach(self, count: int) -> int:
        """Make the next `count` bytes lie in the window; where they start in it."""
        if count > self.left:
            raise _ContradictionError("cut_short")
        start = self.at - self._window_at
        if start < 0 or start + count > len(self._window):
            self._file.seek(self.at)
            self._window = self._file.read(min(max(count, _WINDOW_BYTES), self.left))
            self._window_at, start = self.at, 0
            if len(self._window) < count:
                raise _ContradictionError("cut_short")
        return start


def _read(file: BinaryIO, file_bytes: int) -> GgufHeader:
    cursor = _Cursor(file, file_bytes)
    if file_bytes < 24 or cursor.take(4) != b"GGUF":
        raise _ContradictionError("magic", ErrorCode.MODEL_NOT_GGUF)
    version = cursor.number(_U32)
    if version not in (2, 3):
        detail = "big_endian" if version & 0xFFFF == 0 else f"version_{version}"
        raise _ContradictionError(detail, ErrorCode.MODEL_UNSUPPORTED)
    tensor_count, key_count = cursor.number(_U64), cursor.number(_U64)
    if tensor_count > MAX_TENSORS or key_count > MAX_KEYS:
        raise _ContradictionError("counts")
    values, lengths = _read_values(cursor, key_count)
    alignment = _alignment(values)
    tensors = _read_tensors(cursor, tensor_count, alignment)
    data_offset = -(-cursor.at // alignment) * alignment
    header = GgufHeader(version, values, lengths, tensors, data_offset, file_bytes)
    _check_whole(header)
    return header


def _read_values(cursor: _Cursor, count: int) -> tuple[dict[str, Value], dict[str, int]]:
    values: dict[str, Value] = {}
    lengths: dict[str, int] = {}
    seen: set[str] = set()
    for _ in range(count):
        key = _read_string(cursor, MAX_KEY_BYTES, "key")
        if key in seen:
            raise _ContradictionError("key_twice")
        seen.add(key)
        kind = cursor.number(_U32)
        if kind == _ARRAY:
            length, kept = _read_array(cursor)
            lengths[key] = length
            if kept is not None:
                values[key] = kept
        elif kind == _STRING:
            text = _read_kept_string(cursor)
            if text is not None:
                values[key] = text
        else:
            values[key] = cursor.number(_scalar(kind))
    return values, lengths


def _scalar(kind: int) -> struct.Struct:
    try:
        return _SCALARS[kind]
    except KeyError:
        raise _ContradictionError("value_type") from None


def _read_string(cursor: _Cursor, limit_bytes: int, what: str) -> str:
    length = cursor.number(_U64)
    if length > limit_bytes:
        raise _ContradictionError(f"{what}_length")
    return cursor.take(length).decode("utf-8", "replace")


def _read_kept_string(cursor: _Cursor) -> str | None:
    length = cursor.number(_U64)
    if length > MAX_KEPT_STRING_BYTES:
        cursor.skip(length)
        return None
    return cursor.take(length).decode("utf-8", "replace")


def _read_array(cursor: _Cursor) -> tuple[int, tuple[Scalar, ...] | None]:
    """Length, and the items when they are few numbers."""
    kind, length = cursor.number(_U32), cursor.number(_U64)
    if kind == _STRING:
        if length > cursor.left // _U64.size:
            raise _ContradictionError("array_length")
        for _ in range(length):
            cursor.skip(cursor.number(_U64))
        return length, None
    item = _scalar(kind)  # also refuses arrays of arrays, which llama.cpp does not read either
    if length > cursor.left // item.size:
        raise _ContradictionError("array_length")
    if length > MAX_KEPT_ARRAY:
        cursor.skip(length * item.size)
        return length, None
    return length, tuple(one[0] for one in item.iter_unpack(cursor.take(length * item.size)))


def _alignment(values: Mapping[str, Value]) -> int:
    alignment = values.get("general.alignment", DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or isinstance(alignment, bool):
        raise _ContradictionError("alignment")
    if not 1 <= alignment <= 1 << 20 or alignment & (alignment - 1):
        raise _ContradictionError("alignment")
    return alignment


def _read_tensors(cursor: _Cursor, count: int, alignment: int) -> tuple[TensorInfo, ...]:
    tensors: list[TensorInfo] = []
    seen: set[str] = set()
    expected_offset = 0
    for _ in range(count):
        tensor = _read_tensor(cursor)
        if tensor.name in seen:
            raise _ContradictionError("tensor_twice")
        if tensor.offset != expected_offset:  # ggml wants them one after another, padded
            raise _ContradictionError("tensor_offset")
        seen.add(tensor.name)
        tensors.append(tensor)
        expected_offset += -(-tensor.size_bytes // alignment) * alignment
    return tuple(tensors)


def _read_tensor(cursor: _Cursor) -> TensorInfo:
    name = _read_string(cursor, MAX_NAME_BYTES, "tensor_name")
    dims = cursor.number(_U32)
    if not 1 <= dims <= MAX_DIMS:
        raise _ContradictionError("tensor_dims")
    shape = tuple(cursor.number(_U64) for _ in range(dims))
    elements = 1
    for length in shape:
        elements *= length
        if not 1 <= elements <= MAX_ELEMENTS:
            raise _ContradictionError("tensor_shape")
    type_id, offset = cursor.number(_U32), cursor.number(_U64)
    if type_id not in TENSOR_TYPES:
        raise _ContradictionError(f"tensor_type_{type_id}", ErrorCode.MODEL_UNSUPPORTED)
    _, block, block_bytes = TENSOR_TYPES[type_id]
    if shape[0] % block:
        raise _ContradictionError("tensor_shape")
    return TensorInfo(name, shape, type_id, offset, elements // block * block_bytes)


def _check_whole(header: GgufHeader) -> None:
    if not re.fullmatch(r"[a-z0-9_.-]{1,64}", header.architecture):
        raise _ContradictionError("architecture")
    if header.tensors:
        last = header.tensors[-1]
        if header.data_offset + last.offset + last.size_bytes > header.file_bytes:
            raise _ContradictionError("cut_short")
