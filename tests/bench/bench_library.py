"""Pages a second into the library: sandboxed, checked, stored and indexed, against bare PyMuPDF get_text.

    python -m tests.bench.bench_library [--rounds N] [PDF ...]

Both read the same files in turns within one run. "stored" ends when all pages are on the disk (encrypted) and found by
keywords, "ready" when their vectors are there too. Starting the children is not counted: a running program has them.
Without arguments: a part of the real documents of the shared corpus when it is there, else our sample. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pymupdf

from app.compose import Jingyan, Launch, open_jingyan
from app.core.events import DocumentChanged, LibraryEvent
from app.core.paths import resources
from tests.bench.bench_reading import default_files


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    files = options.files or default_files()
    rounds = [one_round(files) for _ in range(options.rounds)]
    pages = sum(page_count(path) for path in files)
    bare, stored, ready = (statistics.median(times) for times in zip(*rounds, strict=True))
    print(
        json.dumps(
            {
                "files": len(files),
                "pages": pages,
                "bare_get_text_pages_per_s": round(pages / bare, 1),
                "stored_pages_per_s": round(pages / stored, 1),
                "ready_pages_per_s": round(pages / ready, 1),
                "stored_ratio": round(bare / stored, 3),
                "ready_ratio": round(bare / ready, 3),
                "per_round_s": [[round(t, 2) for t in times] for times in rounds],
            },
            indent=2,
        )
    )


def one_round(files: Sequence[Path]) -> tuple[float, float, float]:
    """Seconds for all files: bare, until stored, until ready. A new library each time."""
    started = time.perf_counter()
    for path in files:
        with pymupdf.open(path) as document:
            for page in document:
                page.get_text()
    bare_s = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        os.environ["JINGYAN_HOME"] = folder
        secret = Path(folder) / "passphrase"
        secret.write_text("a passphrase for measuring", "utf-8")
        os.environ["JINGYAN_PASSPHRASE_FILE"] = str(secret)
        jingyan = open_jingyan(Launch(with_model=False))
        try:
            jingyan.add_and_wait([resources() / "samples" / "sample.pdf"])  # children are running now
            stored_s, ready_s = fill(jingyan, files)
        finally:
            jingyan.close()
    return bare_s, stored_s, ready_s


def fill(jingyan: Jingyan, files: Sequence[Path]) -> tuple[float, float]:
    """Seconds until all pages were stored (summed over the files, without the time for vectors), and until ready."""
    stored_s = 0.0
    started = time.perf_counter()
    for path in files:
        begun = time.perf_counter()
        last_saved = begun

        def follow(event: LibraryEvent) -> None:
            nonlocal last_saved
            if isinstance(event, DocumentChanged) and not event.document.state.is_final:
                last_saved = time.perf_counter()

        forget = jingyan.library.subscribe(follow)
        jingyan.add_and_wait([path])
        forget()
        stored_s += last_saved - begun
    return stored_s, time.perf_counter() - started


def page_count(path: Path) -> int:
    with pymupdf.open(path) as document:
        return int(document.page_count)


if __name__ == "__main__":
    main()
