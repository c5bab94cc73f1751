from __future__ import annotations

from pathlib import Path

import pytest

from app.answering.context import PASSAGE_OVERHEAD_TOKENS, pack
from app.answering.language import Language, language_of
from app.answering.prompt import build_messages, build_starter_messages
from app.answering.route import choose_route
from app.core.paths import resources
from app.core.values import Message, Role, Route
from tests.answering.builders import page_of, passage_of

PROMPTS: Path = resources() / "prompts"


@pytest.mark.parametrize(
    ("question", "documents", "tokens", "route"),
    [
        ("What is the rent?", 0, None, Route.CHAT),
        ("你好", 2, None, Route.CHAT),
        ("What is the rent?", 2, 100, Route.RETRIEVAL),
        ("Summarise the contract", 1, 900, Route.WHOLE_DOCUMENT),
        ("总结一下这份合同", 1, 900, Route.WHOLE_DOCUMENT),
        ("总结一下这份合同", 1, 5_000, Route.RETRIEVAL),
        ("Summarise the contract", 1, None, Route.RETRIEVAL),
    ],
)
def test_route_fits_the_question(question: str, documents: int, tokens: int | None, route: Route) -> None:
    assert choose_route(question, documents=documents, document_tokens=tokens, budget_tokens=1_000) is route


def test_packing_takes_whole_passages_and_counts_what_is_left_out() -> None:
    passages = [passage_of(page_of("a"), n) for n in (1, 2, 3)]
    packed = pack(passages, [50, 500, 50], 2 * (50 + PASSAGE_OVERHEAD_TOKENS))
    assert [p.number for p in packed.passages] == [1, 2]
    assert packed.passages[1].chunk is passages[2].chunk
    assert packed.left_out == 1 and packed.used_tokens <= packed.budget_tokens


def test_whole_document_stands_before_the_history_so_that_its_prefix_is_stable() -> None:
    passages = [passage_of(page_of("All of it."), 1)]
    history = (Message(Role.USER, "a"), Message(Role.ASSISTANT, "b"))
    messages = build_messages("Summarise", Route.WHOLE_DOCUMENT, passages, history, PROMPTS)
    assert "All of it." in messages[0].content and messages[1:3] == history


def test_passages_stand_with_the_question_and_name_page_and_file() -> None:
    messages = build_messages("Rent?", Route.RETRIEVAL, [passage_of(page_of("Rent is 5."), 1)], (), PROMPTS)
    assert messages[-1].content.startswith("[1] (lease.pdf, p. 1)\nRent is 5.")
    assert messages[-1].content.endswith("Question: Rent?")


def test_chinese_question_gets_chinese_instructions() -> None:
    messages = build_messages("租金多少？", Route.RETRIEVAL, [passage_of(page_of("租金5元。"), 1)], (), PROMPTS)
    assert "静言" in messages[0].content and messages[-1].content.endswith("问题：租金多少？")


def test_starter_prompt_is_the_format_it_was_trained_on() -> None:
    (message,) = build_starter_messages("Rent?", ["Rent is\n5.", "No pets."])
    assert message.content == "[1] Rent is 5.\n[2] No pets.\n\nQuestion: Rent?"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What is 租金 in English?", Language.ENGLISH),
        ("GLM-4 的参数量是多少？", Language.CHINESE),
        ("42", Language.ENGLISH),
    ],
)
def test_language_by_script(text: str, language: Language) -> None:
    assert language_of(text) is language
