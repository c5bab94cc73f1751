"""Pages and chunks of documents, with their full-text rows. Chunk text is always cut from its page."""

# ruff: noqa: S608 - only constants of this file are put into SQL

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from app.core.errors import ErrorCode, JingyanError
from app.core.ports import PageRead
from app.core.values import Chunk, ChunkId, DocumentId, DraftChunk, PageText
from app.store.database import Database, Row
from app.store.documents import clean
from app.store.packing import pack_boxes, pack_lines, unpack_boxes, unpack_lines

_PAGES_PER_STEP = 64  # a few milliseconds of reading and deciphering
_PAGE_COLUMNS = "page_no, label, width_pt, height_pt, text, lines"
_CHUNKS = "SELECT document_id, page_no, id, start, end, heading, boxes FROM chunks"


class PageRows:
    """Single steps; the library puts transactions around those that belong together.

    `fold` gives the index form of a text: words divided by spaces. Titles and headings repeat from chunk to chunk,
    so their form is made once per call.
    """

    def __init__(self, database: Database, fold: Callable[[str], str]) -> None:
        self._database = database
        self._fold = fold

    def insert(self, document_id: DocumentId, title: str, pages: Iterable[PageRead]) -> tuple[Chunk, ...]:
        """Raises ValueError when a chunk is not the piece of its page that it says it is."""
        kept = [(_clean_page(read.page), read.chunks) for read in pages]
        self._database.run_many(
            "INSERT INTO pages (document_id, page_no, label, width_pt, height_pt, text, lines)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(document_id, p.page_no, p.label, p.width_pt, p.height_pt, p.text, pack_lines(p.lines)) for p, _ in kept],
        )
        drafts = [(page, draft) for page, page_drafts in kept for draft in page_drafts]
        first = 1 + self._database.number("SELECT seq FROM sqlite_sequence WHERE name = 'chunks'")
        chunks = tuple(
            _chunk(ChunkId(first + offset), document_id, page, draft) for offset, (page, draft) in enumerate(drafts)
        )
        self._database.run_many(
            "INSERT INTO chunks (id, document_id, page_no, start, end, heading, boxes) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(c.chunk_id, document_id, c.page_no, c.start, c.end, c.heading, pack_boxes(c.boxes)) for c in chunks],
        )
        self._insert_words(title, chunks)
        return chunks

    def _insert_words(self, title: str, chunks: Sequence[Chunk]) -> None:
        fold = self._fold
        title_words = fold(title)
        headings = {heading: fold(heading) for heading in {chunk.heading for chunk in chunks}}
        self._database.run_many(
            "INSERT INTO chunk_words (rowid, title, heading, body) VALUES (?, ?, ?, ?)",
            [(chunk.chunk_id, title_words, headings[chunk.heading], fold(chunk.text)) for chunk in chunks],
        )

    def rebuild_words(self, titles: Iterable[tuple[DocumentId, str]]) -> None:
        """Make the whole full-text table again with today's `fold`."""
        self._database.run("INSERT INTO chunk_words (chunk_words) VALUES ('delete-all')")
        for document_id, title in titles:
            self._insert_words(title, self.chunks_of(document_id))

    def delete_of(self, document_id: DocumentId) -> tuple[ChunkId, ...]:
        """Pages, chunks, vectors and words of a document; returns the chunks' ids."""
        of_document = "SELECT id FROM chunks WHERE document_id = ?"
        gone = tuple(ChunkId(row[0]) for row in self._database.rows(of_document, (document_id,)))
        self._database.run(f"DELETE FROM chunk_words WHERE rowid IN ({of_document})", (document_id,))
        self._database.run("DELETE FROM pages WHERE document_id = ?", (document_id,))
        return gone

    def get(self, document_id: DocumentId, page_no: int) -> PageText:
        row = self._database.row(
            f"SELECT {_PAGE_COLUMNS} FROM pages WHERE document_id = ? AND page_no = ?",
            (document_id, page_no),
        )
        if row is None:
            raise JingyanError(ErrorCode.PAGE_NOT_THERE, page_no=page_no)
        return _page(row)

    def iterate(self, document_id: DocumentId) -> Iterator[PageText]:
        """In page order, in steps; pages saved meanwhile behind the current one are met too."""
        last_page_no = 0
        while rows := self._database.rows(
            f"SELECT {_PAGE_COLUMNS} FROM pages WHERE document_id = ? AND page_no > ? ORDER BY page_no LIMIT ?",
            (document_id, last_page_no, _PAGES_PER_STEP),
        ):
            yield from map(_page, rows)
            last_page_no = rows[-1][0]

    def chunks(self, chunk_ids: Sequence[ChunkId]) -> tuple[Chunk, ...]:
        """In the order asked; unknown ids are left out."""
        rows = self._database.rows(
            f"{_CHUNKS} WHERE id IN (SELECT value FROM json_each(?)) ORDER BY document_id, page_no, id",
            (json.dumps(list(chunk_ids)),),
        )
        found = {chunk.chunk_id: chunk for chunk in self._with_text(rows)}
        return tuple(found[chunk_id] for chunk_id in chunk_ids if chunk_id in found)

    def chunks_of(self, document_id: DocumentId) -> tuple[Chunk, ...]:
        rows = self._database.rows(f"{_CHUNKS} WHERE document_id = ? ORDER BY page_no, id", (document_id,))
        return tuple(self._with_text(rows))

    def _with_text(self, rows: Iterable[Row]) -> Iterator[Chunk]:
        """`rows` come page by page: the text of each page is read once, however many chunks it has."""
        for (document_id, page_no), of_page in groupby(rows, key=itemgetter(0, 1)):
            where = (document_id, page_no)
            ((page_text,),) = self._database.rows("SELECT text FROM pages WHERE document_id = ? AND page_no = ?", where)
            for *_, chunk_id, start, end, heading, boxes in of_page:
                yield Chunk(
                    ChunkId(chunk_id),
                    DocumentId(document_id),
                    page_no,
                    start,
                    end,
                    page_text[start:end],
                    heading,
                    unpack_boxes(boxes),
                )


def _clean_page(page: PageText) -> PageText:
    return PageText(page.page_no, clean(page.label), page.width_pt, page.height_pt, clean(page.text), page.lines)


def _chunk(chunk_id: ChunkId, document_id: DocumentId, page: PageText, draft: DraftChunk) -> Chunk:
    text = page.text[draft.start : draft.end]
    inside = 0 <= draft.start <= draft.end <= len(page.text)
    if draft.page_no != page.page_no or not inside or clean(draft.text) != text:
        raise ValueError(f"chunk {draft.start}:{draft.end} of page {draft.page_no} is not the text it stands for")
    return Chunk(
        chunk_id, document_id, page.page_no, draft.start, draft.end, text, clean(draft.heading), tuple(draft.boxes)
    )


def _page(row: Row) -> PageText:
    page_no, label, width_pt, height_pt, text, lines = row
    return PageText(page_no, label, width_pt, height_pt, text, unpack_lines(lines))
