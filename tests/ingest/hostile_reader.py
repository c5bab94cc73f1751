"""An ingest child gone bad: a real process that speaks the real protocol and does what its document tells it.

The document is "WHAT PAGE of COUNT": die, hang or lie at that page; the pages before it are well.
"""

from __future__ import annotations

import os
import struct
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from app.workers.child import Call, HandlerResult, serve

TEXT = "Words on the page."
GOOD = {"label": "1", "width_pt": 595.0, "height_pt": 842.0, "lines": 1, "chunks": 1, "headings": ["Heading"]}


def body(
    *,
    line: tuple[int, int] = (0, 5),
    box: tuple[float, ...] = (10, 10, 50, 20),
    chunk: tuple[int, int, int] = (0, 18, 0),
    text: bytes = TEXT.encode(),
) -> bytes:
    return struct.pack("<2I4f3I", *line, *box, *chunk) + text


NAN = float("nan")
# What an honest parent must not believe: name -> (changes to the header, body).
LIES: Mapping[str, tuple[Mapping[str, Any], bytes]] = {
    "line-beyond-the-text": ({}, body(line=(0, 19))),
    "line-without-characters": ({}, body(line=(5, 5))),
    "line-backwards": ({}, body(line=(7, 3))),
    "box-not-a-number": ({}, body(box=(10, NAN, 50, 20))),
    "box-infinite": ({}, body(box=(10, 10, float("inf"), 20))),
    "box-inside-out": ({}, body(box=(50, 10, 10, 20))),
    "box-off-the-page": ({}, body(box=(10, 10, 600, 20))),
    "box-negative": ({}, body(box=(-5, 10, 50, 20))),
    "chunk-beyond-the-text": ({}, body(chunk=(0, 19, 0))),
    "chunk-empty": ({}, body(chunk=(4, 4, 0))),
    "chunk-without-heading": ({}, body(chunk=(0, 18, 1))),
    "text-not-utf8": ({}, body(text=b"Words on the pag\xff\xfe")),
    "text-with-control-characters": ({}, body(text=b"Words on the page\x07")),
    "numbers-missing": ({"lines": 5}, body()),
    "too-many-lines": ({"lines": 30_000}, body()),
    "negative-lines": ({"lines": -1}, body()),
    "page-infinite": ({"width_pt": 1e300}, body()),
    "wrong-page": ({"page_no": 99}, body()),
    "unknown-field": ({"extra": 1}, body()),
    "label-not-text": ({"label": 7}, body()),
    "label-endless": ({"label": "x" * 5_000}, body()),
    "heading-with-control-characters": ({"headings": ["a\0b"]}, body()),
    "problem-of-another-kind": ({"problem": {"code": "disk_full"}}, body()),
    "problem-that-is-none": ({"problem": {"code": "nonsense"}}, body()),
    "chunk-too-long": ({}, body(chunk=(0, 5_000, 0), text=b"x" * 5_000)),
}


class HostileReader:
    def __init__(self) -> None:
        self._content = b""
        self._what, self._page, self._count = "", 0, 0

    def handlers(self) -> dict[str, Callable[[Call], HandlerResult]]:
        return {
            "begin": self._begin, "piece": self._piece, "open": self._open, "read": self._read, "render": self._render
        }  # fmt: skip

    def _begin(self, call: Call) -> None:
        self._content = b""

    def _piece(self, call: Call) -> None:
        self._content += call.body

    def _open(self, call: Call) -> HandlerResult:
        what, page, _of, count = self._content.decode().split()
        self._what, self._page, self._count = what, int(page), int(count)
        if self._page == 0:
            self._misbehave(call)
        return {"kind": "pdf", "title": "", "page_count": self._count}

    def _read(self, call: Call) -> HandlerResult:
        for page_no in range(call.args["start_page"], self._count + 1):
            if self._what == "die-everywhere" or page_no == self._page:
                self._misbehave(call)
            call.emit("page", {"page_no": page_no, **GOOD}, body())
        if self._what == "one-page-more":
            call.emit("page", {"page_no": self._count + 1, **GOOD}, body())
        return None

    def _render(self, call: Call) -> HandlerResult:
        if call.args["page_no"] == self._page:
            self._misbehave(call)
        size = {"width_px": 2, "height_px": 3, "width_pt": 595.0, "height_pt": 842.0}
        pixels = 17 if self._what == "short-picture" else 18
        return {"page_no": call.args["page_no"], **size}, b"\x80" * pixels

    def _misbehave(self, call: Call) -> None:
        if self._what.startswith("die"):
            os._exit(3)
        if self._what == "hang":
            time.sleep(600)
        if self._what in LIES:
            changes, bytes_ = LIES[self._what]
            call.emit("page", {"page_no": self._page, **GOOD, **changes}, bytes_)
        if self._what == "skip-the-rest":
            call.emit("missing", {"page_no": self._page, "problem": {"code": "page_broken"}})
            self._count = self._page


if __name__ == "__main__":
    sys.exit(serve(HostileReader().handlers()))
