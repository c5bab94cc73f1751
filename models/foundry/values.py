"""Open values for the synthetic documents: names, dates, amounts, periods, addresses.

Every open value belongs to the training or the test half by a hash of its text, so a value that a test asks for never
occurs in a training document. Values from small closed lists (jobs, colours, periods) are shared.
Standard library only: the tests import this without PyTorch.
"""
# ruff: noqa: SIM905 - word lists read better as text

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Sequence

SYLLABLES = (
    "ba be bi bo bu da de di do du fa fe fi fo ga ge go gu ha he hi ho ja je jo ka ke ki ko ku la le li lo lu ma me mi "
    "mo mu na ne ni no nu pa pe pi po ra re ri ro ru sa se si so su ta te ti to tu va ve vi vo wa we wi ya yo za ze zi "
    "zo bra cre dri flo gra kle pri sto tra ble"
).split()
ENDINGS = "n r l s k m t nd rt x th sh ck ng ll ss v".split()
FIRST_NAMES = (
    "Anna Ben Clara David Elena Frank Grace Henry Ingrid James Karen Louis Maria Nathan Olivia Peter Rachel Samuel "
    "Teresa Victor Wendy Aisha Boris Chen Daria Emil Farah Goran Hana Ivan Julia Kofi Leila Marco Nadia Omar Priya "
    "Quentin Rosa Stefan Tariq Ursula Vera Walter Yusuf Zoe"
).split()
SURNAMES = (
    "Smith Brown Taylor Wilson Evans Walker Wright Hughes Green Hall Wood Clarke Baker Carter Fisher Hunter Keller "
    "Weber Lindqvist Moreau Rossi Novak Silva Costa Petrov Haddad Okafor Tanaka Larsen Murphy Becker Schmidt Vogel "
    "Marchetti Dubois Romero Castillo Nguyen Patel Sharma Kowalski Horvat Jensen Virtanen"
).split()
STREETS = (
    "Mill Church Station Park Garden Bridge Market King Queen Harbour Forest Hill Lake River School Castle".split()
)
STREET_KINDS = "Street Road Lane Avenue Square Way".split()
MONTHS = "January February March April May June July August September October November December".split()
NUMBER_WORDS = "two three four five six seven eight nine ten twelve fourteen fifteen twenty thirty sixty ninety".split()
ZH_SURNAMES = "王李张刘陈杨黄赵周吴徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢"
ZH_GIVEN = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂文辉玲建华志国英红玉云飞海波宁欣怡浩宇轩子涵晨梓睿琪嘉诚思远博雅楠凯"
)
ZH_PLACE = "青石白云龙泉金沙河山湖海东西南北新安和平永宁长春华兴城港湾桥岭川江洲溪林州阳"
ZH_FIRM = "恒达腾信创联华瑞科诺宏远盛泰康美佳通博锐智云天润丰鼎易晟凌"
ZH_DIGITS = "一二三四五六七八九十"


def is_test(value: str) -> bool:
    """True for the eighth of all values that is kept for tests."""
    return zlib.crc32(value.encode()) % 8 == 0


class Values:
    """A seeded source of values of one half; `lang` is "en" or "zh"."""

    def __init__(self, seed: int, split: str) -> None:
        self.rng = random.Random(seed)
        self.test = split == "test"

    def keep(self, make: Callable[[], str]) -> str:
        """The first value of `make` that belongs to this half."""
        while True:
            value = make()
            if is_test(value) == self.test:
                return value

    def pick(self, options: Sequence[str]) -> str:
        return self.rng.choice(options)

    def number(self, low: int, high: int) -> str:
        return self.keep(lambda: str(self.rng.randint(low, high)))

    def han(self, pool: str, count: int) -> str:
        return self.keep(lambda: "".join(self.rng.choice(pool) for _ in range(count)))

    def word(self) -> str:
        rng = self.rng

        def make() -> str:
            if rng.random() < 0.15:
                return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(3, 6))).capitalize()
            middle = "".join(rng.choice(SYLLABLES) for _ in range(rng.randint(1, 2)))
            return (middle + rng.choice(SYLLABLES)[:2] + rng.choice(ENDINGS)).capitalize()

        return self.keep(make)

    def person(self, lang: str) -> str:
        rng = self.rng
        if lang == "zh":
            return self.keep(lambda: rng.choice(ZH_SURNAMES) + "".join(rng.choices(ZH_GIVEN, k=rng.randint(1, 2))))
        if rng.random() < 0.4:
            return f"{self.word()} {self.word()}"
        return self.keep(
            lambda: f"{rng.choice(FIRST_NAMES)} {rng.choice(SURNAMES) if rng.random() < 0.6 else self.word()}"
        )

    def company(self, lang: str) -> str:
        if lang == "zh":
            ending = self.pick(["公司", "集团", "科技", "贸易", "有限公司", "物业管理有限公司", "律师事务所"])
            return self.han(ZH_FIRM, 2) + ending
        kind = self.pick(["Ltd", "Inc", "Group", "Labs", "Trading", "GmbH", "LLC", "Partners", "Logistics", "Bank"])
        name = self.word() if self.rng.random() < 0.7 else f"{self.word()} & {self.pick(SURNAMES)}"
        return f"{name} {kind}"

    def city(self, lang: str) -> str:
        return self.han(ZH_PLACE, 2) + self.pick(["市", "县", "镇", "区"]) if lang == "zh" else self.word()

    def address(self, lang: str) -> str:
        if lang == "zh":
            return f"{self.han(ZH_PLACE, 2)}路{self.number(1, 399)}号"
        street = self.pick(STREETS) if self.rng.random() < 0.5 else self.word()
        text = f"{self.number(1, 299)} {street} {self.pick(STREET_KINDS)}"
        return f"{text}, {self.word()}" if self.rng.random() < 0.4 else text

    def date(self, lang: str) -> str:
        rng = self.rng

        def make() -> str:
            year, month, day = rng.randint(1990, 2039), rng.randint(1, 12), rng.randint(1, 28)
            if lang == "zh":
                return f"{year}年{month}月{day}日" if rng.random() < 0.85 else f"{year}-{month:02d}-{day:02d}"
            name = MONTHS[month - 1]
            forms = [f"{day} {name} {year}", f"{name} {day}, {year}", f"{year}-{month:02d}-{day:02d}"]
            return rng.choice(forms)

        return self.keep(make)

    def amount(self, lang: str) -> str:
        rng = self.rng
        n = int(self.number(10, 99999))
        if rng.random() < 0.3:
            n = n // 100 * 100 or 300
        grouped = f"{n:,}"
        if lang == "zh":
            return rng.choice([f"{n}元", f"{grouped}元", f"人民币{n}元", f"{n}美元", f"{grouped}欧元"])
        if rng.random() < 0.25:
            grouped += f".{rng.choice(['00', '50', str(rng.randint(10, 99))])}"
        mark = rng.choice(["$", "€", "£"])
        code = rng.choice(["EUR", "USD", "GBP", "CNY", "CHF"])
        return rng.choice([f"{mark}{grouped}", f"{code} {grouped}", f"{grouped} {code}", f"{n} {code}"])

    def percent(self, lang: str) -> str:
        rng = self.rng
        body = str(rng.randint(1, 95)) if rng.random() < 0.5 else f"{rng.randint(0, 24)}.{rng.randint(1, 9)}"
        if lang == "zh":
            return rng.choice([f"{body}%", f"{body}%", f"百分之{rng.choice(ZH_DIGITS)}"])
        return rng.choice([f"{body}%", f"{body}%", f"{body} %", f"{body} percent"])

    def period(self, lang: str) -> str:
        rng = self.rng
        if lang == "zh":
            n = rng.choice([*ZH_DIGITS, "十五", "二十", "三十", "六十", *(str(k) for k in range(2, 91))])
            return n + rng.choice(["日", "天", "个工作日", "个月", "年", "周", "小时"])
        n = rng.choice(NUMBER_WORDS) if rng.random() < 0.5 else str(rng.randint(2, 90))
        unit = rng.choice(["days", "days", "weeks", "months", "months", "years", "hours", "working days"])
        return f"{n} {unit}"

    def time(self) -> str:
        minute = self.pick(["00", "05", "10", "15", "20", "30", "40", "45", "50"])
        return f"{self.rng.randint(6, 22):02d}:{minute}"

    def code(self) -> str:
        rng = self.rng
        letters = "".join(rng.choices("ABCDEFGHKLMNPRSTVX", k=rng.randint(1, 3)))
        return self.keep(lambda: f"{letters}{rng.choice(['', '-'])}{rng.randint(10, 9999)}")

    def email(self) -> str:
        return f"{self.word().lower()}{self.pick(['', '.', str(self.rng.randint(2, 99))])}".rstrip(".") + (
            f"@{self.word().lower()}{self.pick(['.com', '.org', '.cn', '.net'])}"
        )

    def phone(self) -> str:
        groups = self.keep(lambda: f"{self.rng.randint(100, 999)} {self.rng.randint(1000, 9999)}")
        return self.pick(["", "+44 ", "+86 ", "0"]) + groups

    def measure(self, lang: str) -> str:
        units = "公斤 米 平方米 公里 升 台 人 件 页" if lang == "zh" else "kg m km litres units people pages GB kW"
        unit = self.pick(units.split())
        n = self.number(2, 9999)
        return f"{n}{unit}" if lang == "zh" else f"{n} {unit}"


def value_of(values: Values, kind: str, lang: str) -> str:
    """A value of a named kind (`KINDS`)."""
    maker = getattr(values, kind)
    return maker() if kind in ("time", "code", "email", "phone", "word") else maker(lang)


KINDS = ("person", "company", "city", "address", "date", "amount", "percent", "period", "time", "code", "measure")
