"""Bounds on everything that comes from a file or a child. Each constant carries its reason."""

from __future__ import annotations

MIB = 1024 * 1024

MAX_FILE_BYTES = 512 * MIB  # the reader holds the file in memory once, plus its parse tree
MAX_PAGES = 20_000  # the longest statute books stay under 10,000
MAX_PAGE_TEXT_CHARS = 400_000  # a dense A0 sheet of 4 pt type is about 150,000
MAX_DOCUMENT_TEXT_CHARS = 80_000_000  # twice the largest encyclopedia volume in one file
MAX_LINES_PER_PAGE = 20_000
MAX_CHUNK_CHARS = 4_000  # chunks aim at about a quarter of it; anything longer is a reader's bug
MAX_PAGE_PX = 40_000_000  # A1 at 150 dpi is 17.4 M, twice that
MAX_FRAME_HEADER_BYTES = 4 * MIB  # a page of 20,000 lines with boxes is about 1.5 MiB of JSON
MAX_FRAME_BODY_BYTES = 128 * MIB  # MAX_PAGE_PX as RGB is 120 MB
UPLOAD_PIECE_BYTES = 1 * MIB  # file bytes travel to the reader in pieces, so that cancel is quick
STDERR_TAIL_BYTES = 8 * 1024

READER_PAGE_TIMEOUT_S = 30.0  # no sign of life for so long = hung (dense pages take under 2 s)
READER_DOCUMENT_TIMEOUT_S = 1_800.0
READER_MEMORY_BYTES = 1_536 * MIB  # address-space growth allowed to a reader on top of its start
RENDER_TIMEOUT_S = 20.0
CHILD_START_TIMEOUT_S = 30.0
MODEL_LOAD_TIMEOUT_S = 600.0  # 9B from a slow disk takes minutes
ENGINE_SILENCE_TIMEOUT_S = 120.0  # one micro-batch of a 9B on two cores takes under 60 s

MAX_QUESTION_CHARS = 100_000
