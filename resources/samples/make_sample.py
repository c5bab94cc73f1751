"""Make sample.pdf: a lease between two companies that do not exist, in English with a Chinese appendix.

The demo, the README and the tests ask questions about it (questions.json). Run it after a change of the text:
    python resources/samples/make_sample.py
Latin text uses the standard PDF fonts; the Chinese font is embedded as a subset, so the file stays small.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pymupdf

PAGE_WIDTH_PT, PAGE_HEIGHT_PT = 595.0, 842.0  # A4
LEFT_PT, RIGHT_PT, TOP_PT = 72.0, 523.0, 92.0
INK, ACCENT, PALE, GREY = (0.13, 0.15, 0.18), (0.05, 0.36, 0.42), (0.91, 0.95, 0.96), (0.45, 0.48, 0.52)
TITLE = "Lease Agreement: Unit 7, Heron Wharf"
NEVER_FIRST = "，。；：、！？）」』”％%,.;:)"  # these do not begin a line of Chinese


class Sheet:
    """One page that is filled from top to bottom."""

    def __init__(self, document: pymupdf.Document, label: str) -> None:
        self._page = document.new_page(width=PAGE_WIDTH_PT, height=PAGE_HEIGHT_PT)
        self._fonts = {
            "body": pymupdf.Font("helv"),
            "bold": pymupdf.Font("hebo"),
            "italic": pymupdf.Font("heit"),
            "chinese": pymupdf.Font("china-s"),
        }
        self.y_pt = TOP_PT
        self._label = label
        self._page.draw_line((LEFT_PT, 62), (RIGHT_PT, 62), color=ACCENT, width=0.8)

    def finish(self) -> None:
        """The running foot, written last as page layout programs do."""
        self._put(LEFT_PT, 800, "Lease Agreement  |  Unit 7, Heron Wharf", "body", 8, GREY)
        width = self._fonts["body"].text_length(self._label, 8)
        self._put(RIGHT_PT - width, 800, self._label, "body", 8, GREY)

    def heading(self, text: str, *, font: str = "bold", size_pt: float = 14) -> None:
        self.y_pt += 16
        self._put(LEFT_PT, self.y_pt, text, font, size_pt, ACCENT)
        self.y_pt += size_pt * 0.55 + 12

    def paragraph(self, text: str, *, font: str = "body", size_pt: float = 11.5, indent_pt: float = 0) -> None:
        wrap = wrap_chinese if font == "chinese" else wrap_words
        for line in wrap(self._fonts[font], text, size_pt, RIGHT_PT - LEFT_PT - indent_pt):
            self._put(LEFT_PT + indent_pt, self.y_pt, line, font, size_pt, INK)
            self.y_pt += size_pt * 1.5
        self.y_pt += 8

    def item(self, mark: str, text: str, *, font: str = "body") -> None:
        self._put(LEFT_PT + 6, self.y_pt, mark, font, 10.5, ACCENT)
        self.paragraph(text, font=font, indent_pt=30)
        self.y_pt -= 2

    def centred(self, text: str, *, font: str, size_pt: float, colour: Sequence[float] = INK) -> None:
        width = self._fonts[font].text_length(text, size_pt)
        self._put((PAGE_WIDTH_PT - width) / 2, self.y_pt, text, font, size_pt, colour)
        self.y_pt += size_pt * 1.6

    def table(self, rows: Sequence[Sequence[str]], widths_pt: Sequence[float], *, font: str = "body") -> None:
        """The first row is the header; all columns but the first are set to the right."""
        height = 20.0
        self.y_pt += 2
        for number, row in enumerate(rows):
            top = self.y_pt - 13
            if number == 0:
                self._page.draw_rect((LEFT_PT, top, LEFT_PT + sum(widths_pt), top + height), color=None, fill=PALE)
            bottom = top + height
            self._page.draw_line((LEFT_PT, bottom), (LEFT_PT + sum(widths_pt), bottom), color=GREY, width=0.4)
            name = font if font == "chinese" or number else "bold"
            x = LEFT_PT
            for column, (cell, width) in enumerate(zip(row, widths_pt, strict=True)):
                shift = 6.0 if column == 0 else width - 6 - self._fonts[name].text_length(cell, 9.5)
                self._put(x + shift, self.y_pt, cell, name, 9.5, INK)
                x += width
            self.y_pt += height
        self.y_pt += 8

    def space(self, height_pt: float) -> None:
        self.y_pt += height_pt

    def rule(self, x0_pt: float, x1_pt: float) -> None:
        self._page.draw_line((x0_pt, self.y_pt), (x1_pt, self.y_pt), color=GREY, width=0.6)

    def beside(self, x_pt: float, text: str, *, font: str = "body", size_pt: float = 10.5) -> None:
        self._put(x_pt, self.y_pt, text, font, size_pt, INK)

    def _put(self, x_pt: float, y_pt: float, text: str, font: str, size_pt: float, colour: Sequence[float]) -> None:
        writer = pymupdf.TextWriter(self._page.rect, color=colour)
        writer.append((x_pt, y_pt), text, font=self._fonts[font], fontsize=size_pt)
        writer.write_text(self._page)


def wrap_words(font: pymupdf.Font, text: str, size_pt: float, width_pt: float) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.text_length(longer, size_pt) <= width_pt:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def wrap_chinese(font: pymupdf.Font, text: str, size_pt: float, width_pt: float) -> list[str]:
    """Lines cut between characters, but not inside a number and not before a closing mark."""
    lines, at = [], 0
    while at < len(text):
        end = at + 1
        while end < len(text) and font.text_length(text[at : end + 1], size_pt) <= width_pt:
            end += 1
        while end < len(text) and (text[end] in NEVER_FIRST or (text[end - 1 : end + 1].isascii())):
            end -= 1
        lines.append(text[at:end].strip())
        at = end
    return lines


def cover(document: pymupdf.Document) -> Sheet:
    sheet = Sheet(document, "i")
    sheet.space(110)
    sheet.centred("LEASE AGREEMENT", font="bold", size_pt=28, colour=ACCENT)
    sheet.centred("Unit 7, Heron Wharf, Port Elling", font="body", size_pt=15)
    sheet.space(8)
    sheet.centred("租赁合同（英文正本，附中文摘要）", font="chinese", size_pt=13)
    sheet.space(40)
    sheet.centred("between", font="italic", size_pt=11)
    sheet.centred("Willow Quay Properties Ltd.", font="bold", size_pt=14)
    sheet.centred("and", font="italic", size_pt=11)
    sheet.centred("Northlight Instruments Ltd.", font="bold", size_pt=14)
    sheet.space(40)
    sheet.centred("Contract number WQ-2027-0318", font="body", size_pt=11)
    sheet.centred("Signed in Port Elling on 12 January 2027", font="body", size_pt=11)
    sheet.space(90)
    sheet.centred(
        "A sample document. Both companies, the people and the place are invented.",
        font="italic", size_pt=9, colour=GREY,
    )  # fmt: skip
    return sheet


def parties(document: pymupdf.Document) -> Sheet:
    sheet = Sheet(document, "1")
    sheet.heading("1  Parties")
    sheet.paragraph(
        "The landlord is Willow Quay Properties Ltd., registered at 3 Cooper's Row, Port Elling, represented by its "
        "property manager Clara Whitfield."
    )
    sheet.paragraph(
        "The tenant is Northlight Instruments Ltd., a maker of optical measuring devices, represented by its managing "
        "director Tomas Arendt."
    )
    sheet.heading("2  Premises")
    sheet.paragraph(
        "The landlord lets to the tenant Unit 7 on the second floor of Heron Wharf, 18 Quayside Road, Port Elling. "
        "The premises measure 412 square metres and consist of one workshop, four offices and a kitchen."
    )
    sheet.paragraph(
        "The tenant may use six parking spaces in the courtyard, numbered 21 to 26, and the goods lift between "
        "6 a.m. and 10 p.m. on working days."
    )
    sheet.paragraph("On handover the tenant receives 14 keys and 20 access cards.")
    sheet.heading("3  Term")
    sheet.paragraph(
        "The lease begins on 1 March 2027 and runs for five years. It ends on 29 February 2032 without any notice, "
        "unless it is renewed."
    )
    sheet.paragraph(
        "The tenant may renew the lease twice, each time for three years. The request for renewal must reach the "
        "landlord in writing no later than 31 August 2031."
    )
    return sheet


def rent(document: pymupdf.Document) -> Sheet:
    sheet = Sheet(document, "2")
    sheet.heading("4  Rent and charges")
    sheet.paragraph(
        "The monthly rent is EUR 4,850 in the first year of the lease. It rises once a year as shown in the table. "
        "All amounts are net of value added tax."
    )
    sheet.table(
        [
            ("Lease year", "From", "Monthly rent", "Service charge", "Monthly total"),
            ("Year 1", "1 March 2027", "EUR 4,850", "EUR 620", "EUR 5,470"),
            ("Year 2", "1 March 2028", "EUR 4,950", "EUR 640", "EUR 5,590"),
            ("Year 3", "1 March 2029", "EUR 5,050", "EUR 660", "EUR 5,710"),
            ("Year 4", "1 March 2030", "EUR 5,150", "EUR 680", "EUR 5,830"),
            ("Year 5", "1 March 2031", "EUR 5,250", "EUR 700", "EUR 5,950"),
        ],
        (80, 95, 92, 92, 92),
    )
    sheet.paragraph(
        "Rent and service charge are due in advance on the third working day of each month, by transfer to the "
        "landlord's account at Elling Mutual Bank."
    )
    sheet.paragraph(
        "The service charge covers heating, cleaning of shared areas, waste collection and the reception desk. "
        "Electricity is metered separately and billed every quarter."
    )
    sheet.paragraph("Late payments bear interest of 4.5 percent per year from the day they were due.")
    sheet.heading("5  Deposit")
    sheet.paragraph(
        "The tenant pays a deposit of EUR 14,550, which equals three monthly rents, before the keys are handed over. "
        "The landlord returns the deposit within 30 days after the premises were handed back in good order."
    )
    return sheet


def use(document: pymupdf.Document) -> Sheet:
    sheet = Sheet(document, "3")
    sheet.heading("6  Use and care of the premises")
    sheet.paragraph("The premises may be used as a workshop and office for building and testing optical instruments.")
    sheet.item("(a)", "The tenant keeps the premises clean and carries out minor repairs up to EUR 400 per case.")
    sheet.item("(b)", "The landlord maintains the roof, the outer walls, the lifts and the central heating.")
    sheet.item("(c)", "Machines heavier than 900 kilograms may be set up only with the landlord's written consent.")
    sheet.item("(d)", "Laser equipment of class 4 must be run behind interlocked doors.")
    sheet.heading("7  Alterations")
    sheet.paragraph(
        "The tenant may put up light partition walls at its own cost. Any other building work needs the landlord's "
        "consent, which must be answered within 15 working days."
    )
    sheet.heading("8  Insurance")
    sheet.paragraph(
        "The tenant takes out liability insurance of at least EUR 2,000,000 per event and shows the policy to the "
        "landlord every January. The landlord insures the building against fire, water and storm."
    )
    sheet.heading("9  Access")
    sheet.paragraph(
        "The landlord may enter the premises after announcing the visit 48 hours in advance. In an emergency, such as "
        "fire or a burst pipe, no announcement is needed."
    )
    sheet.heading("10  Subletting")
    sheet.paragraph("Subletting is allowed only to companies of the tenant's own group and never for less than a year.")
    return sheet


def ending(document: pymupdf.Document) -> Sheet:
    sheet = Sheet(document, "4")
    sheet.heading("11  Early termination")
    sheet.paragraph(
        "The tenant may end the lease early for the first time on 28 February 2030. The notice period is six months; "
        "notice must be given in writing and sent by registered mail."
    )
    sheet.paragraph(
        "If the tenant ends the lease early, it pays a compensation of two monthly rents. The landlord may end the "
        "lease without notice when two monthly payments are overdue for more than 20 days."
    )
    sheet.heading("12  Notices and contacts")
    sheet.paragraph(
        "Notices to the landlord go to Clara Whitfield, notices to the tenant go to Mei Lin, head of operations."
    )
    sheet.paragraph("The caretaker, Joris Haan, can be reached day and night on the emergency line 555-0142.")
    sheet.heading("13  Final provisions")
    sheet.paragraph(
        "Changes to this agreement need a written form signed by both parties. The courts of Port Elling decide any "
        "dispute. The Chinese appendix is a summary; in case of doubt the English text prevails."
    )
    sheet.heading("Signatures")
    sheet.paragraph("Port Elling, 12 January 2027")
    sheet.space(46)
    sheet.rule(LEFT_PT, 270)
    sheet.rule(320, RIGHT_PT)
    sheet.space(16)
    sheet.beside(LEFT_PT, "Clara Whitfield")
    sheet.beside(320, "Tomas Arendt")
    sheet.space(15)
    sheet.beside(LEFT_PT, "Willow Quay Properties Ltd.", size_pt=9)
    sheet.beside(320, "Northlight Instruments Ltd.", size_pt=9)
    return sheet


def appendix(document: pymupdf.Document) -> Sheet:
    sheet = Sheet(document, "A-1")
    sheet.heading("附录一　主要条款中文摘要", font="chinese", size_pt=16)
    sheet.heading("一、当事人与房屋", font="chinese", size_pt=13)
    sheet.paragraph(
        "出租方为柳岸置业有限公司，联系人为物业经理克拉拉·惠特菲尔德。承租方为北光仪器有限公司，联系人为运营总监林梅。",
        font="chinese",
    )
    sheet.paragraph("房屋位于埃林港鹭码头七号单元，面积为412平方米，另有六个停车位。", font="chinese")
    sheet.heading("二、租期", font="chinese", size_pt=13)
    sheet.paragraph(
        "租期自2027年3月1日开始，为期五年，至2032年2月29日届满。承租方可以续租两次，每次三年。", font="chinese"
    )
    sheet.heading("三、租金与押金", font="chinese", size_pt=13)
    sheet.paragraph(
        "第一年的月租金为4,850欧元，之后每年增加100欧元。租金须在每月第三个工作日之前支付，逾期按年利率4.5%计收利息。",
        font="chinese",
    )
    sheet.table(
        [
            ("租赁年度", "月租金", "服务费", "每月合计"),
            ("第一年", "4,850欧元", "620欧元", "5,470欧元"),
            ("第二年", "4,950欧元", "640欧元", "5,590欧元"),
            ("第三年", "5,050欧元", "660欧元", "5,710欧元"),
        ],
        (120, 110, 110, 111),
        font="chinese",
    )
    sheet.paragraph("押金为14,550欧元，相当于三个月的租金，房屋交还后三十天内退还。", font="chinese")
    sheet.heading("四、保险与终止", font="chinese", size_pt=13)
    sheet.paragraph("承租方必须投保责任险，每次事故的保险金额不低于200万欧元。", font="chinese")
    sheet.paragraph(
        "承租方最早可于2030年2月28日提前终止合同，通知期为六个月，并须支付两个月租金作为补偿。", font="chinese"
    )
    sheet.paragraph("紧急情况请拨打管理员尤里斯·哈恩的电话555-0142，全天有人接听。", font="chinese")
    return sheet


def drawn() -> pymupdf.Document:
    """The whole sample, not yet saved."""
    document = pymupdf.open()
    for draw in (cover, parties, rent, use, ending, appendix):
        draw(document).finish()
    document.set_metadata({"title": TITLE, "author": "Jingyan", "creationDate": "D:20270112000000Z"})
    document.set_page_labels(
        [
            {"startpage": 0, "style": "r", "firstpagenum": 1},
            {"startpage": 1, "style": "D", "firstpagenum": 1},
            {"startpage": 5, "prefix": "A-", "style": "D", "firstpagenum": 1},
        ]
    )
    document.set_toc([[1, "Parties, premises, term", 2], [1, "Rent and deposit", 3], [1, "Use and insurance", 4],
                      [1, "Termination and contacts", 5], [1, "附录一　主要条款中文摘要", 6]])  # fmt: skip
    document.subset_fonts()
    return document


if __name__ == "__main__":
    drawn().save(Path(__file__).with_name("sample.pdf"), garbage=4, deflate=True, no_new_id=True)
