"""What the text of a PDF page looks like after reading."""

from __future__ import annotations

import pymupdf
import pytest

from tests.ingest.pages import check_promises, read_all, texts
from tests.samples import pdf_bytes, placed_pdf, saved


def one_page(content: bytes) -> str:
    return texts("a.pdf", content)[0]


def test_every_line_and_chunk_points_at_its_own_characters() -> None:
    for read, _ in read_all("a.pdf", pdf_bytes(["One line.\nAnother line.", "租金是四千元，\n押金是三个月租金。"])):
        check_promises(read)
        printed = [read.page.text[line.start : line.end] for line in read.page.lines]
        assert printed in (["One line.", "Another line."], ["租金是四千元，", "押金是三个月租金。"])


def test_boxes_cover_the_printed_text() -> None:
    (read, _), *_rest = read_all("a.pdf", placed_pdf([(100, 200, "Deposit: 500 EUR")]))
    box = read.page.lines[0].box
    assert box.x0 == pytest.approx(100, abs=2) and box.y0 < 200 < box.y1 + 1
    assert box.x1 == pytest.approx(100 + pymupdf.get_text_length("Deposit: 500 EUR", fontsize=11), abs=2)


@pytest.mark.parametrize(("rotation", "size"), [(90, (842, 595)), (180, (595, 842)), (270, (842, 595))])
def test_boxes_of_a_rotated_page_are_in_displayed_points(rotation: int, size: tuple[float, float]) -> None:
    content = pdf_bytes(["Rotated words here"], rotation=rotation)
    (read, _), *_rest = read_all("a.pdf", content)
    check_promises(read)
    assert (read.page.width_pt, read.page.height_pt) == size
    page = pymupdf.open(stream=content, filetype="pdf")[0]
    drawn = pymupdf.Rect(page.search_for("Rotated words here")[0]) * page.rotation_matrix
    box = read.page.lines[0].box
    assert pymupdf.Rect(box.x0, box.y0, box.x1, box.y1).intersects(drawn)
    assert abs(box.x0 - min(drawn.x0, drawn.x1)) < 3 and abs(box.y0 - min(drawn.y0, drawn.y1)) < 5


def test_boxes_are_measured_from_the_corner_of_the_visible_page() -> None:
    document = pymupdf.open()
    page = document.new_page(width=600, height=800)
    page.insert_text((300, 400), "inside")
    page.insert_text((20, 20), "outside")
    page.set_cropbox(pymupdf.Rect(200, 300, 500, 700))
    (read, _), *_rest = read_all("a.pdf", saved(document))
    assert read.page.text == "inside" and (read.page.width_pt, read.page.height_pt) == (300, 400)
    assert read.page.lines[0].box.x0 == pytest.approx(100, abs=2)


def test_cells_of_a_table_row_become_one_line() -> None:
    cells = [(72, 100, "Year 1"), (220, 100, "EUR 4,850"), (360, 100, "EUR 620"), (72, 118, "Year 2"), (220, 118, "x")]
    assert one_page(placed_pdf(cells)).splitlines()[0] == "Year 1\tEUR 4,850\tEUR 620"


def test_columns_are_read_one_after_the_other_in_the_order_of_the_file() -> None:
    left = [(60, 100 + 14 * n, f"Left column line number {n} of ten lines") for n in range(10)]
    right = [(320, 100 + 14 * n, f"Right column line number {n} of ten lines") for n in range(10)]
    lines = [line for line in one_page(placed_pdf(left + right)).split("\n") if line]
    assert [line.split()[0] for line in lines] == ["Left"] * 10 + ["Right"] * 10


def test_jumbled_paragraphs_are_put_in_reading_order() -> None:
    places = [(72, 100 + 60 * n, f"Paragraph number {n} stands here.") for n in range(8)]
    shuffled = [places[n] for n in (7, 2, 5, 0, 3, 6, 1, 4)]
    numbers = [int(line.split()[2]) for line in one_page(placed_pdf(shuffled)).split("\n") if line]
    assert numbers == list(range(8))


def test_jumbled_columns_are_put_in_reading_order() -> None:
    left = [(60, 100 + 60 * n, f"Left paragraph {n} with some words") for n in range(6)]
    right = [(320, 100 + 60 * n, f"Right paragraph {n} with some words") for n in range(6)]
    lines = [line for line in one_page(placed_pdf(right[::-1] + left[::-1])).split("\n") if line]
    assert [tuple(line.split()[:3:2]) for line in lines] == [
        *(("Left", str(n)) for n in range(6)),
        *(("Right", str(n)) for n in range(6)),
    ]


def test_broken_word_is_put_together_and_its_lines_stay_exact() -> None:
    content = placed_pdf([(72, 100, "This is all the infor-"), (72, 114, "mation there is.")])
    (read, _), *_rest = read_all("a.pdf", content)
    assert read.page.text == "This is all the information there is."
    assert [read.page.text[line.start : line.end] for line in read.page.lines] == [
        "This is all the infor",
        "mation there is.",
    ]


def test_lines_of_chinese_run_on_and_stay_exact() -> None:
    first, second, third = (
        "承租方应当在每个月的第三个工作日之前支付租",
        "金，逾期按年利率计收利息，直到全部付清为止",
        "并通知对方。",
    )
    document = pymupdf.open()
    document.new_page().insert_text((72, 100), f"{first}\n{second}\n{third}\n短行。\n下一段", fontname="china-s")
    (read, _), *_rest = read_all("a.pdf", saved(document))
    assert read.page.text.startswith(first + second + third + "\n")
    assert [read.page.text[line.start : line.end] for line in read.page.lines][:3] == [first, second, third]


@pytest.mark.parametrize("spacing", [1.2, 1.8, 2.4])
def test_widely_spaced_lines_are_one_paragraph(spacing: float) -> None:
    chinese = [
        "承租方应当在每个月的第三个工作日之前支付租",
        "金，逾期按年利率计收利息，直到全部付清为止并",
        "通知对方。",
    ]
    document = pymupdf.open()
    for number, line in enumerate(chinese):
        page = document[0] if number else document.new_page()
        page.insert_text((72, 100 + 12 * spacing * number), line, fontsize=12, fontname="china-s")
    assert one_page(saved(document)) == "".join(chinese)
    english = [
        "The tenant pays the rent on the third day of",
        "every month and tells the landlord early",
        "of a delay.",
    ]
    content = placed_pdf([(72, 100 + 11 * spacing * n, line) for n, line in enumerate(english)])
    assert one_page(content) == "\n".join(english)


@pytest.mark.parametrize("second", ["based service", "Smith agreed", "3 months"])
def test_real_hyphen_at_the_end_of_a_line_stays(second: str) -> None:
    assert "cloud-" in one_page(placed_pdf([(72, 100, "We offer a cloud-"), (72, 114, second)]))


def test_ligatures_and_odd_spaces_become_plain_characters() -> None:
    document = pymupdf.open()
    document.new_page().insert_htmlbox((72, 72, 500, 200), "<p>ﬁnal oﬃce&nbsp;of</p>")
    assert one_page(saved(document)) == "final office of"


def test_page_without_unicode_map_has_no_text_and_says_so() -> None:
    document = pymupdf.open()
    page = document.new_page()
    page.insert_font(fontname="F0", fontbuffer=pymupdf.Font("china-s").buffer)
    page.insert_text((72, 100), "租金与押金条款说明", fontname="F0")
    for xref in range(1, document.xref_length()):
        if document.xref_get_key(xref, "ToUnicode")[0] == "xref":
            document.xref_set_key(xref, "ToUnicode", "null")
    (read, problem), *_rest = read_all("a.pdf", saved(document))
    assert read.page.text == "" and read.chunks == ()
    assert problem is not None and problem.reason.code == "page_no_text"


def test_page_labels_are_the_printed_ones() -> None:
    document = pymupdf.open(stream=pdf_bytes(["a", "b", "c"]), filetype="pdf")
    document.set_page_labels([{"startpage": 0, "style": "r"}, {"startpage": 1, "prefix": "A-", "style": "D"}])
    assert [read.page.label for read, _ in read_all("a.pdf", saved(document))] == ["i", "A-1", "A-2"]
    assert [read.page.label for read, _ in read_all("a.pdf", pdf_bytes(["a", "b"]))] == ["1", "2"]


def test_headings_name_what_is_below_them() -> None:
    document = pymupdf.open()
    for number in (1, 2):
        page = document.new_page()
        page.insert_text((72, 80), f"{number} Chapter", fontsize=18, fontname="hebo")
        page.insert_text((72, 110), "Section", fontsize=13, fontname="hebo")
        page.insert_text((72, 140), "\n".join(["Plain words of the body of this page."] * 30), fontsize=10)
    pages = read_all("a.pdf", saved(document))
    assert [read.chunks[-1].heading for read, _ in pages] == ["1 Chapter > Section", "2 Chapter > Section"]
