"""Entities with attributes (invoices, people, meetings, products): what a short record or form says.

`RECORDS[type]` lists the attributes. The value mostly follows its subject or label, because a causal model cannot look
ahead; a few sentences put it first, as real text does.
"""
# ruff: noqa: SIM905 - word lists read better as text

from __future__ import annotations

from phrases import load_phrases
from values import ZH_FIRM, ZH_PLACE, Values

RECORDS = load_phrases("records")
JOBS = {
    "en": "engineer teacher doctor designer accountant lawyer nurse pilot chemist editor".split(),
    "zh": "工程师 教师 医生 设计师 会计 律师 护士 飞行员 化学家 编辑".split(),
}
COLOURS = {
    "en": "red blue green black white silver yellow orange purple brown".split(),
    "zh": "红色 蓝色 绿色 黑色 白色 银色 黄色 橙色 紫色 棕色".split(),
}
TOPICS = {
    "en": "budget safety hiring design sales security training quality launch planning".split(),
    "zh": "预算 安全 招聘 设计 销售 安保 培训 质量 发布 规划".split(),
}
PRODUCTS = {
    "en": "lamp chair camera kettle printer router drill watch tent bicycle".split(),
    "zh": "台灯 椅子 相机 水壶 打印机 路由器 电钻 手表 帐篷 自行车".split(),
}
PLACES = {
    "en": "Museum Library Hotel Park Station Clinic School Market".split(),
    "zh": "博物馆 图书馆 酒店 公园 车站 诊所 学校 市场".split(),
}


def record_key(values: Values, kind: str, lang: str) -> str:
    """The name of a new entity of the type `kind`."""
    pick = values.pick
    if kind == "person":
        return values.person(lang)
    if kind == "invoice":
        if lang == "en":
            return f"{pick(['invoice', 'order'])} {pick(['INV-', 'No. ', '#', 'R'])}{values.number(1000, 99999)}"
        return f"{pick(['发票', '订单'])}{pick(['F', 'P', 'No'])}{values.number(1000, 99999)}"
    if kind == "meeting":
        topic = pick(TOPICS[lang])
        return f"the {values.word()} {topic} meeting" if lang == "en" else f"{values.han(ZH_FIRM, 2)}{topic}会议"
    if kind == "product":
        thing = pick(PRODUCTS[lang])
        return f"the {values.word()} {thing}" if lang == "en" else f"{values.han(ZH_FIRM, 2)}{thing}"
    if kind == "project":
        return f"the {values.word()} project" if lang == "en" else f"{values.han(ZH_PLACE, 2)}项目"
    place = pick(PLACES[lang])
    return f"the {values.word()} {place}" if lang == "en" else f"{values.han(ZH_PLACE, 2)}{place}"


def closed_value(values: Values, kind: str, lang: str) -> str | None:
    """A value from a short list, or None when `kind` is an open kind."""
    if kind == "job":
        return values.pick(JOBS[lang])
    if kind == "colour":
        return values.pick(COLOURS[lang])
    if kind == "year":
        return values.number(1500, 2030) + ("年" if lang == "zh" else "")
    return None
