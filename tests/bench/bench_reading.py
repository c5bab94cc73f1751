"""Pages a second: through the sandboxed child, checked, against bare PyMuPDF get_text on the same files.

    python -m tests.bench.bench_reading [--rounds N] [PDF ...]

Both read every page of every file, in turns within one run, so that a busy machine slows both. The child's start is
not counted (it is kept between documents), sending the file is. Without arguments: real documents of the shared
corpus when it is there, else our sample. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pymupdf

from app.core.paths import program_root, resources
from app.core.ports import PageRead
from app.workers.ingest_client import ReaderClient

CORPUS = program_root().parent / "shared" / "data" / "corpus" / "pdfqa"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    files = options.files or default_files()
    reader = ReaderClient()
    try:
        list(reader.read("warm.txt", b"warm"))
        rounds = [one_round(reader, files) for _ in range(options.rounds)]
    finally:
        reader.close()
    bare, child = (statistics.median(times) for times in zip(*rounds, strict=True))
    pages = sum(page_count(path) for path in files)
    print(
        json.dumps(
            {
                "files": len(files),
                "pages": pages,
                "bare_get_text_pages_per_s": round(pages / bare, 1),
                "sandboxed_child_pages_per_s": round(pages / child, 1),
                "ratio": round(bare / child, 3),
                "ratio_per_round": [round(b / c, 3) for b, c in rounds],
            },
            indent=2,
        )
    )


def one_round(reader: ReaderClient, files: Sequence[Path]) -> tuple[float, float]:
    """Seconds for all files: bare, through the child."""
    bare = child = 0.0
    for path in files:
        content = path.read_bytes()
        bare += seconds(lambda content=content: read_bare(content))
        child += seconds(lambda content=content, name=path.name: read_through_child(reader, name, content))
    return bare, child


def seconds(work: Callable[[], int]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def read_bare(content: bytes) -> int:
    with pymupdf.open(stream=content, filetype="pdf") as document:
        return sum(len(page.get_text()) for page in document)


def read_through_child(reader: ReaderClient, name: str, content: bytes) -> int:
    return sum(len(event.page.text) for event in reader.read(name, content) if isinstance(event, PageRead))


def page_count(path: Path) -> int:
    with pymupdf.open(path) as document:
        return int(document.page_count)


def default_files() -> list[Path]:
    """Every fourth document, so that a run takes seconds."""
    return sorted(CORPUS.glob("*/*.pdf"))[::4] or [resources() / "samples" / "sample.pdf"]


if __name__ == "__main__":
    main()
