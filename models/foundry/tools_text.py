"""Tool calls: a request, the tools on offer, and the call as GLM-4 writes it (`name` newline `{json}`)."""

from __future__ import annotations

import json
from dataclasses import dataclass

from phrases import load_words
from records import TOPICS
from values import ZH_FIRM, Values, value_of

CURRENCIES = ("USD", "EUR", "CNY", "JPY", "GBP", "CHF")


@dataclass(frozen=True)
class Tool:
    """A tool with its arguments (name, value kind) and ways to ask for it."""

    name: str
    description: str
    arguments: list[list[str]]
    asks_en: list[str]
    asks_zh: list[str]

    def spec(self) -> dict:
        """The tool as chat templates expect it."""
        properties = {name: {"type": "string"} for name, _ in self.arguments}
        parameters = {"type": "object", "properties": properties, "required": list(properties)}
        function = {"name": self.name, "description": self.description, "parameters": parameters}
        return {"type": "function", "function": function}


TOOLS = tuple(Tool(**row) for row in load_words("tools")["tools"])


def _argument(values: Values, kind: str, lang: str) -> str:
    if kind == "title":
        topic = values.pick(TOPICS[lang])
        return f"{values.word()} {topic}" if lang == "en" else values.han(ZH_FIRM, 2) + topic
    if kind == "number":
        return values.number(10, 99999)
    if kind == "small":
        return str(values.rng.randint(1, 400))
    if kind == "file":
        return values.word().lower() + values.pick([".pdf", ".txt", ".md", ".docx"])
    if kind == "sum":
        return f"{values.number(2, 9999)} {values.pick(['+', '-', '*', '/'])} {values.rng.randint(2, 999)}"
    if kind == "currency":
        return values.pick(CURRENCIES)
    return value_of(values, kind, lang)


def tools_on_offer(values: Values) -> list[Tool]:
    """One to five tools in random order."""
    return values.rng.sample(TOOLS, values.rng.randint(1, 5))


def tool_request(values: Values, lang: str, offered: list[Tool]) -> tuple[str, str]:
    """A request for one of the `offered` tools and the call that answers it."""
    tool = values.rng.choice(offered)
    arguments = {name: _argument(values, kind, lang) for name, kind in tool.arguments}
    if tool.name == "convert_currency":
        arguments["source"], arguments["target"] = values.rng.sample(CURRENCIES, 2)
    ask = values.pick(tool.asks_en if lang == "en" else tool.asks_zh)
    return ask.format(**arguments), tool.name + "\n" + json.dumps(arguments, ensure_ascii=False)
