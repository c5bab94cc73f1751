"""What every ports.Library must do. Subclass it and give the fixture `library`, empty, folding with `fold` below."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from app.core.errors import ErrorCode, JingyanError, Reason
from app.core.ports import Library, PageRead
from app.core.values import (
    Box,
    Chunk,
    Document,
    DocumentId,
    DocumentKind,
    DocumentState,
    DraftChunk,
    PageProblem,
    PageText,
    TextLine,
)

NO_TEXT = PageProblem(2, Reason(ErrorCode.PAGE_NO_TEXT, {"images": 3, "share": 0.25, "name": "扫描"}))
BROKEN = PageProblem(1, Reason(ErrorCode.PAGE_BROKEN))


def fold(text: str) -> str:
    """A small index form: lower case, punctuation dropped, Chinese characters one by one."""
    spread = "".join(f" {char} " if "\u4e00" <= char <= "\u9fff" else char for char in text.lower())
    return " ".join("".join(char if char.isalnum() else " " for char in spread).split())


def page(page_no: int, *pieces: str, heading: str = "") -> PageRead:
    """A page whose chunks are `pieces`, one after the other with a line break between."""
    text, lines, chunks = "", [], []
    for number, piece in enumerate(pieces):
        box = Box(72.1, 50.25 + 12 * number, 523.3, 62.0 + 12 * number)
        start, end = len(text), len(text) + len(piece)
        lines.append(TextLine(start, end, box))
        chunks.append(DraftChunk(page_no, start, end, piece, heading, (box,)))
        text += f"{piece}\n"
    return PageRead(PageText(page_no, f"p{page_no}", 595.32, 841.92, text, tuple(lines)), tuple(chunks))


def begin(library: Library, name: str = "report.pdf", pages: int = 3, title: str = "") -> Document:
    document = library.add_document(Path("/home/li/文档") / name, 1_000)
    return library.begin_reading(document.document_id, DocumentKind.PDF, title, pages)


def save(library: Library, *texts: str, name: str = "report.pdf") -> tuple[DocumentId, tuple[Chunk, ...]]:
    """A document that is read, one chunk per text, all on page 1."""
    document_id = begin(library, name).document_id
    return document_id, library.save_pages(document_id, [page(1, *texts)])


def found(library: Library, word: str, within: frozenset[DocumentId] | None = None) -> list[str]:
    hits = library.bm25({word: 1.0}, 100, within)
    return [chunk.text for chunk in library.chunks([hit.chunk_id for hit in hits])]


class LibraryContract:
    # ---- documents ---------------------------------------------------------------------------
    def test_an_added_document_is_queued_and_unread(self, library: Library) -> None:
        added = library.add_document(Path("/home/li/文档/报告 2024.pdf"), 4_321)
        assert library.documents() == (added,)
        assert added == library.document(added.document_id)
        assert added.name == "报告 2024.pdf"
        assert added.path == Path("/home/li/文档/报告 2024.pdf")
        assert (added.state, added.kind, added.content_sha256) == (DocumentState.QUEUED, None, None)
        assert (added.size_bytes, added.page_count, added.pages_read, added.problems) == (4_321, 0, 0, ())
        assert added.added_at.tzinfo is not None

    def test_a_path_that_is_not_text_comes_back_as_it_was(self, library: Library) -> None:
        path = Path("/mnt/usb/r\udce9sum\udce9.pdf")
        added = library.add_document(path, 1)
        assert library.document(added.document_id).path == path
        assert library.find_by_path(path) == added
        assert added.name == "r\ufffdsum\ufffd.pdf"

    def test_content_and_path_find_the_document(self, library: Library) -> None:
        first = library.add_document(Path("/a/one.txt"), 1)
        library.add_document(Path("/a/two.txt"), 2)
        library.set_content(first.document_id, "abc123", 7)
        moved = library.set_path(first.document_id, Path("/b/one.txt"))
        assert moved.content_sha256 == "abc123"
        assert moved.size_bytes == 7
        assert library.find_by_content("abc123") == moved == library.find_by_path(Path("/b/one.txt"))
        assert library.find_by_content("ffff") is None
        assert library.find_by_path(Path("/a/one.txt")) is None

    def test_an_unknown_document_is_an_error_for_every_change(self, library: Library) -> None:
        nobody = DocumentId(77)
        for change in (
            lambda: library.document(nobody),
            lambda: library.set_content(nobody, "abc", 1),
            lambda: library.set_path(nobody, Path("/x")),
            lambda: library.begin_reading(nobody, DocumentKind.PDF, "", 1),
            lambda: library.save_pages(nobody, [page(1, "text")]),
            lambda: library.finish(nobody, DocumentState.READY),
            lambda: library.remove(nobody),
        ):
            with pytest.raises(JingyanError) as error:
                change()
            assert error.value.code is ErrorCode.DOCUMENT_NOT_THERE
        assert library.documents() == ()

    # ---- reading -----------------------------------------------------------------------------
    def test_pages_come_back_exactly_as_they_were_saved(self, library: Library) -> None:
        document_id = begin(library).document_id
        saved = [page(1, "First line", "第二行"), page(3, "nul \0 and 𝄞 music", heading="A > B"), page(2)]
        library.save_pages(document_id, saved[:2])
        library.save_pages(document_id, saved[2:])
        assert list(library.pages(document_id)) == [saved[0].page, saved[2].page, saved[1].page]
        assert library.page(document_id, 3) == saved[1].page

    def test_a_long_document_is_walked_in_page_order(self, library: Library) -> None:
        document_id = begin(library, pages=300).document_id
        library.save_pages(document_id, [page(number, f"page {number}") for number in range(300, 0, -1)])
        assert [read.page_no for read in library.pages(document_id)] == list(range(1, 301))

    def test_a_page_that_is_not_there_is_an_error(self, library: Library) -> None:
        document_id, _ = save(library, "text")
        with pytest.raises(JingyanError) as error:
            library.page(document_id, 2)
        assert error.value.reason == Reason(ErrorCode.PAGE_NOT_THERE, {"page_no": 2})

    def test_chunks_come_back_in_the_order_asked(self, library: Library) -> None:
        document_id = begin(library).document_id
        chunks = library.save_pages(document_id, [page(1, "alpha", "beta"), page(2, "gamma", heading="Method > Data")])
        assert [chunk.text for chunk in chunks] == ["alpha", "beta", "gamma"]
        assert chunks[2].heading == "Method > Data"
        assert library.chunks_of(document_id) == chunks
        asked = [chunks[2].chunk_id, 999, chunks[0].chunk_id]
        assert library.chunks(asked) == (chunks[2], chunks[0])
        assert library.chunks([]) == ()

    def test_a_text_with_half_a_character_is_kept_with_a_mark_in_its_place(self, library: Library) -> None:
        _, chunks = save(library, "broken \ud83d pair", "after")
        assert library.chunks([chunk.chunk_id for chunk in chunks]) == chunks
        assert [chunk.text for chunk in chunks] == ["broken \ufffd pair", "after"]

    def test_a_chunk_that_is_not_its_piece_of_the_page_is_refused(self, library: Library) -> None:
        document_id = begin(library).document_id
        read = page(1, "the true text")
        lie = DraftChunk(1, 0, 8, "other wo", "", ())
        beyond = DraftChunk(1, 10, 90, read.page.text[10:], "", ())
        elsewhere = DraftChunk(2, 0, 3, "the", "", ())
        for wrong in (lie, beyond, elsewhere):
            with pytest.raises(ValueError, match="not the text"):
                library.save_pages(document_id, [page(5, "good"), PageRead(read.page, (wrong,))])
        assert list(library.pages(document_id)) == []
        assert found(library, "good") == []

    def test_only_pages_with_text_count_as_read(self, library: Library) -> None:
        document_id = begin(library).document_id
        library.save_pages(document_id, [page(1, "text"), page(2)], [NO_TEXT])
        library.save_pages(document_id, [page(3, "more")])
        document = library.document(document_id)
        assert document.pages_read == 2
        assert document.page_count == 3
        assert document.state is DocumentState.READING
        assert document.problems == (NO_TEXT,)

    def test_finishing_adds_problems_and_sets_the_state(self, library: Library) -> None:
        document_id = begin(library, title="Jahresbericht").document_id
        library.save_pages(document_id, [page(1, "text")], [NO_TEXT])
        document = library.finish(document_id, DocumentState.PARTIAL, [BROKEN, NO_TEXT])
        assert document == library.document(document_id)
        assert document.state is DocumentState.PARTIAL
        assert document.title == "Jahresbericht"
        assert document.problems == (BROKEN, NO_TEXT)

    def test_a_reading_cannot_finish_as_reading(self, library: Library) -> None:
        document_id = begin(library).document_id
        with pytest.raises(ValueError, match="reading"):
            library.finish(document_id, DocumentState.READING)

    def test_a_second_reading_forgets_the_first(self, library: Library) -> None:
        document_id, old = save(library, "walrus")
        library.finish(document_id, DocumentState.PARTIAL, [BROKEN])
        assert library.finish(document_id, DocumentState.QUEUED).problems == ()
        again = library.begin_reading(document_id, DocumentKind.TEXT, "New", 1)
        assert (again.state, again.kind, again.pages_read) == (DocumentState.READING, DocumentKind.TEXT, 0)
        new = library.save_pages(document_id, [page(1, "penguin")])
        assert found(library, "walrus") == []
        assert found(library, "penguin") == ["penguin"]
        assert not {chunk.chunk_id for chunk in old} & {chunk.chunk_id for chunk in new}

    def test_removing_takes_everything_and_nothing_else(self, library: Library) -> None:
        kept_id, kept = save(library, "walrus and seal", name="kept.pdf")
        gone_id, gone = save(library, "walrus and crab", "shrimp", name="gone.pdf")
        ids = [chunk.chunk_id for chunk in kept + gone]
        library.save_vectors("one", ids, np.eye(len(ids), 4, dtype=np.float32))
        assert library.remove(gone_id) == tuple(chunk.chunk_id for chunk in gone)
        assert [document.document_id for document in library.documents()] == [kept_id]
        assert library.chunks(ids) == kept
        assert list(library.pages(gone_id)) == []
        assert found(library, "walrus") == ["walrus and seal"]
        assert found(library, "shrimp") == []
        ((chunk_ids, document_ids, _),) = library.vectors("one")
        assert (chunk_ids, document_ids) == ((kept[0].chunk_id,), (kept_id,))

    def test_ids_never_come_back(self, library: Library) -> None:
        gone_id, gone = save(library, "one")
        library.remove(gone_id)
        new_id, new = save(library, "two")
        assert new_id > gone_id
        assert new[0].chunk_id > gone[-1].chunk_id

    # ---- vectors -----------------------------------------------------------------------------
    def test_vectors_come_back_exact_with_their_owners(self, library: Library) -> None:
        first_id, first = save(library, *(f"number {n}" for n in range(3_000)), name="long.pdf")
        second_id, second = save(library, "last", name="short.pdf")
        chunk_ids = [chunk.chunk_id for chunk in first + second]
        vectors = np.random.default_rng(7).standard_normal((len(chunk_ids), 16)).astype(np.float32)
        library.save_vectors("one", chunk_ids, vectors)
        blocks = list(library.vectors("one"))
        assert [chunk_id for ids, _, _ in blocks for chunk_id in ids] == chunk_ids
        assert [owner for _, owners, _ in blocks for owner in owners] == [first_id] * 3_000 + [second_id]
        assert np.array_equal(np.vstack([matrix for _, _, matrix in blocks]), vectors)
        assert all(matrix.dtype == np.float32 for _, _, matrix in blocks)
        assert list(library.vectors("another")) == []

    def test_chunks_without_a_vector_are_named_per_embedder(self, library: Library) -> None:
        _, chunks = save(library, "one", "two", "three")
        library.save_vectors("a", [chunks[1].chunk_id], np.ones((1, 4), np.float32))
        assert library.chunks_without_vector("a", 10) == (chunks[0], chunks[2])
        assert library.chunks_without_vector("a", 1) == (chunks[0],)
        assert library.chunks_without_vector("b", 10) == chunks

    def test_a_vector_for_a_chunk_removed_meanwhile_is_passed_over(self, library: Library) -> None:
        gone_id, gone = save(library, "gone")
        _, kept = save(library, "kept")
        library.remove(gone_id)
        ids = [gone[0].chunk_id, kept[0].chunk_id]
        library.save_vectors("a", ids, np.array([[1, 2], [3, 4]], np.float32))
        library.save_vectors("a", ids[1:], np.array([[5, 6]], np.float32))
        ((chunk_ids, _, matrix),) = library.vectors("a")
        assert chunk_ids == (kept[0].chunk_id,)
        assert matrix.tolist() == [[5, 6]]

    def test_vectors_of_the_wrong_shape_are_refused(self, library: Library) -> None:
        _, chunks = save(library, "one", "two")
        ids = [chunk.chunk_id for chunk in chunks]
        library.save_vectors("a", ids[:1], np.ones((1, 4), np.float32))
        with pytest.raises(ValueError, match="shape"):
            library.save_vectors("a", ids, np.ones((1, 4), np.float32))
        with pytest.raises(ValueError, match="dimensions"):
            library.save_vectors("a", ids, np.ones((2, 8), np.float32))

    # ---- keyword search ----------------------------------------------------------------------
    def test_saved_text_is_found_at_once_by_any_inflection(self, library: Library) -> None:
        save(library, "The otters were swimming", "nothing of the kind")
        assert found(library, "otter") == ["The otters were swimming"]
        assert found(library, "swims") == ["The otters were swimming"]
        assert found(library, "flying") == []

    def test_chinese_words_are_found_and_left_unstemmed(self, library: Library) -> None:
        save(library, "合同总额为三千万元", "本页无关")
        assert found(library, "额") == ["合同总额为三千万元"]

    def test_title_file_name_and_heading_are_found_too(self, library: Library) -> None:
        document_id = begin(library, "annual-2019.pdf", title="Walrus census").document_id
        library.save_pages(document_id, [page(1, "plain text", heading="Methods > Counting")])
        for word in ("census", "2019", "counting"):
            assert found(library, word) == ["plain text"], word
        assert found(library, "pdf") == []

    def test_a_score_is_the_weighted_sum_over_the_terms(self, library: Library) -> None:
        texts = ["walrus seal", "walrus", "seal seal crab", "crab and much more besides", "nothing", "at all"]
        _, chunks = save(library, *texts)

        def scores(terms: dict[str, float]) -> dict[int, float]:
            return {hit.chunk_id: hit.score for hit in library.bm25(terms, 100)}

        single = {word: scores({word: 1.0}) for word in ("walrus", "seal", "crab")}
        for weights in (
            {"walrus": 1.0, "seal": 1.0, "crab": 1.0},
            {"walrus": 0.2, "seal": 1.0, "crab": 0.2},
            {"walrus": 3.0, "seal": 0.0, "crab": 0.5},
        ):
            expected = {
                chunk.chunk_id: sum(weights[word] * single[word].get(chunk.chunk_id, 0.0) for word in weights)
                for chunk in chunks
            }
            assert scores(weights) == pytest.approx({key: score for key, score in expected.items() if score > 0})

    def test_of_thousands_of_terms_those_that_say_most_decide(self, library: Library) -> None:
        common = " ".join(f"common{number}" for number in range(300))
        _, chunks = save(library, common, f"walrus {common}", "walrus seal", common)
        absent = {f"absent{number}": 9.0 + number for number in range(3_000)}
        few = {"walrus": 0.7, "seal": 0.9}
        assert library.bm25(absent | few, 10) == library.bm25(few, 10)
        pasted = dict.fromkeys(common.split(), 0.01)
        assert library.bm25(absent | pasted | few, 10)[0].chunk_id == chunks[2].chunk_id
        assert library.bm25(pasted, 10, frozenset()) == ()

    def test_the_best_come_first_and_no_more_than_asked(self, library: Library) -> None:
        texts = [f"walrus {'and more words ' * n}" for n in range(20)] + ["nothing"] * 30
        _, chunks = save(library, *texts)
        hits = library.bm25({"walrus": 1.0}, 5)
        assert [hit.chunk_id for hit in hits] == [chunk.chunk_id for chunk in chunks[:5]]
        assert all(better.score > worse.score > 0 for better, worse in itertools.pairwise(hits))
        assert library.bm25({"walrus": 1.0}, 0) == ()

    def test_a_search_can_be_kept_within_documents(self, library: Library) -> None:
        one, _ = save(library, "walrus one", name="1.pdf")
        two, _ = save(library, "walrus two", name="2.pdf")
        three, _ = save(library, "walrus three", name="3.pdf")
        assert found(library, "walrus", frozenset({two})) == ["walrus two"]
        assert set(found(library, "walrus", frozenset({one, three}))) == {"walrus one", "walrus three"}
        assert found(library, "walrus", frozenset()) == []
        weighted = library.bm25({"walrus": 1.0, "three": 0.5}, 9, frozenset({one, three}))
        assert [hit.document_id for hit in weighted] == [three, one]

    @pytest.mark.parametrize("term", ["", " ", '"', "'", "*", "AND", "NEAR(", "a\0b", "-", "col:", "\u3000", "()"])
    def test_no_term_can_break_the_query(self, library: Library, term: str) -> None:
        _, chunks = save(library, "walrus", "other")
        hits = library.bm25({term: 1.0, "walrus": 1.0}, 10)
        assert [hit.chunk_id for hit in hits] == [chunks[0].chunk_id]
        assert library.bm25({term: 0.3, "walrus": 1.0}, 10)
        library.bm25({term: 1.0}, 10)
