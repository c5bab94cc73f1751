"""Text of unknown encoding comes out as it was written."""

from __future__ import annotations

import random

import pytest

from app.core.errors import ErrorCode, JingyanError
from app.ingest.encodings import decode

ENGLISH = "The tenant pays the rent in advance.\n"
CHINESE = "出租方应当在每个月的第一天之前收到租金，合同从二零二七年三月一日开始生效。\n"
TRADITIONAL = "承租人應於每個月的第一天之前支付租金，這份合約從三月一日開始生效，為期五年。\n"
JAPANESE = "賃借人は毎月の家賃を前払いで支払うものとします。契約は三月一日から有効です。\n"
KOREAN = "임차인은 매월 임대료를 선불로 지급한다. 계약은 삼월 일일부터 유효하다.\n"
GERMAN = "Der Mieter zahlt die Miete für größere Flächen jährlich im Voraus. Schönes Gebäude.\n"
FRENCH = "Le loyer doit être payé à l'avance, même pendant l'été. Où est la clé ? C'est déjà réglé.\n"
POLISH = "Najemca płaci czynsz z góry każdego miesiąca. Zażółć gęślą jaźń, proszę bardzo, dziękuję.\n"
CZECH = "Příliš žluťoučký kůň úpěl ďábelské ódy. Nájemce platí nájemné předem každý měsíc.\n"
RUSSIAN = "Арендатор платит арендную плату вперёд каждый месяц. Договор вступает в силу с марта.\n"
GREEK = "Ο ενοικιαστής πληρώνει το ενοίκιο κάθε μήνα. Η σύμβαση ισχύει από την πρώτη Μαρτίου.\n"
TURKISH = "Kiracı kirayı her ay peşin öder. Sözleşme bir Martta yürürlüğe girer, değişiklikler yazılı yapılır.\n"
HEBREW = "השוכר ישלם את דמי השכירות מראש בכל חודש. החוזה נכנס לתוקף באחד במרץ.\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (ENGLISH, "ascii"),
        (CHINESE, "utf-8"),
        (CHINESE, "utf-8-sig"),
        (CHINESE, "utf-16"),
        (CHINESE, "utf-16-le"),
        (CHINESE, "utf-16-be"),
        (ENGLISH, "utf-16-le"),
        (ENGLISH, "utf-16-be"),
        (CHINESE, "utf-32"),
        (CHINESE, "utf-32-be"),
        (CHINESE, "gbk"),
        (CHINESE, "gb18030"),
        (CHINESE, "hz"),
        (TRADITIONAL, "big5"),
        (JAPANESE, "cp932"),
        (JAPANESE, "euc_jp"),
        (JAPANESE, "iso2022_jp"),
        (KOREAN, "cp949"),
        (GERMAN, "cp1252"),
        (GERMAN, "iso8859_15"),
        (GERMAN, "mac_roman"),
        (FRENCH, "cp1252"),
        (POLISH, "cp1250"),
        (POLISH, "iso8859_2"),
        (CZECH, "cp1250"),
        (CZECH, "iso8859_2"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8_r"),
        (RUSSIAN, "cp866"),
        (GREEK, "cp1253"),
        (TURKISH, "cp1254"),
        (HEBREW, "cp1255"),
    ],
)
def test_text_comes_out_as_written(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_mostly_english_file_with_a_line_of_chinese_is_found() -> None:
    text = ENGLISH * 400 + CHINESE
    assert decode(text.encode("gbk")) == text


def test_character_cut_off_at_the_end_of_a_utf8_file_is_dropped() -> None:
    whole = CHINESE.strip().encode()
    assert decode(whole[:-1]) == CHINESE.strip()[:-1]


def test_character_cut_off_at_the_end_of_a_gbk_file_costs_one_character() -> None:
    whole = CHINESE.strip().encode("gbk")
    assert decode(whole[:-1])[:-1] == CHINESE.strip()[:-1]


def test_single_accent_is_western() -> None:
    assert decode("Café".encode("cp1252")) == "Café"


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_refused_as_binary(seed: int) -> None:
    with pytest.raises(JingyanError) as error:
        decode(random.Random(seed).randbytes(5_000))
    assert error.value.code is ErrorCode.KIND_UNSUPPORTED
    assert error.value.reason.facts["kind"] == "binary"


def test_zero_bytes_are_refused_as_binary() -> None:
    with pytest.raises(JingyanError) as error:
        decode(bytes(1_000))
    assert error.value.code is ErrorCode.KIND_UNSUPPORTED
