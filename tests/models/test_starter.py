"""The text starter really answers: template as trained, held-out questions right more often than a stated floor.

held_out.jsonl was written by models/foundry/eval_text.py (--write-questions, seed 99): values that training never saw.
Scores are counted, not timed; temperature 0 makes them repeatable on one machine. The floor is safely below what was
measured (models/starter/README.md), because other processors round differently.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from llama_cpp import Llama
from llama_cpp.llama_chat_format import Jinja2ChatFormatter

from app.answering.prompt import build_starter_messages
from app.core.paths import starter_models

QUESTIONS = [json.loads(line) for line in (Path(__file__).parent / "held_out.jsonl").read_text("utf-8").splitlines()]
LEASE = "The monthly rent is EUR 1,240. The security deposit is EUR 3,720. The notice period is three months."
LEASE_ZH = "月租金为3,250元，按月支付。押金为6500元，退租时无息退还。租期从2029年5月1日开始。"
FLOOR_VALUE, FLOOR_ABSENT, FLOOR_TOOL = 0.55, 0.5, 0.75  # measured: 36/48, 10/12, 8/8


@pytest.fixture(scope="module")
def starter() -> Iterator[Llama]:
    llm = Llama(str(starter_models() / "text.gguf"), n_ctx=1024, verbose=False, n_threads=1, n_threads_batch=1)
    yield llm
    llm.close()


def answer(llm: Llama, content: str, tools: list[dict] | None = None) -> str:
    message = {"role": "user", "content": content}
    out = llm.create_chat_completion([message], tools=tools, temperature=0.0, max_tokens=64)
    return out["choices"][0]["message"]["content"].strip()


def share_right(llm: Llama, group: str) -> float:
    rows = [row for row in QUESTIONS if row["bucket"].startswith(group)]
    assert len(rows) >= 8
    right = [answer(llm, row["content"], row.get("tools")) == row["answer"] for row in rows]
    return sum(right) / len(right)


def test_application_writes_the_prompt_the_starter_was_trained_on() -> None:
    english = build_starter_messages("What is the deposit?", ["First\nline.", "Second."])
    assert [m.content for m in english] == ["[1] First line.\n[2] Second.\n\nQuestion: What is the deposit?"]
    chinese = build_starter_messages("押金是多少？", ["押金为6500元。"])
    assert [m.content for m in chinese] == ["[1] 押金为6500元。\n\n问题：押金是多少？"]


def test_template_in_the_file_renders_as_trained(starter: Llama) -> None:
    template = Jinja2ChatFormatter(starter.metadata["tokenizer.chat_template"], eos_token="", bos_token="")
    plain = template(messages=[{"role": "user", "content": "[1] A.\n\nQuestion: B?"}]).prompt
    assert plain == "[gMASK]<sop><|user|>\nQuestion: B?\n\n[1] A.\n\nQuestion: B?<|assistant|>\n"
    chinese = template(messages=[{"role": "user", "content": "[1] 甲。\n\n问题：乙？"}]).prompt
    assert chinese == "[gMASK]<sop><|user|>\n问题：乙？\n\n[1] 甲。\n\n问题：乙？<|assistant|>\n"
    chat = template(messages=[{"role": "user", "content": "Hello. Question: 1?"}]).prompt
    assert chat == "[gMASK]<sop><|user|>\nHello. Question: 1?<|assistant|>\n"
    tool = {
        "type": "function",
        "function": {
            "name": "read_page",
            "description": "Read one page of a document",
            "parameters": {"properties": {"document": {}, "page": {}}},
        },
    }
    called = template(messages=[{"role": "user", "content": "C"}], tools=[tool]).prompt
    assert called == (
        "[gMASK]<sop><|system|>\n# 可用工具\n## read_page\nRead one page of a document\ndocument, page"
        "\n在调用上述函数时，请使用 Json 格式表示调用的参数。<|user|>\nC<|assistant|>\n"
    )


@pytest.mark.parametrize(
    ("passage", "question", "expected"),
    [
        (LEASE, "What is the monthly rent?", "EUR 1,240"),
        (LEASE, "How much is the security deposit?", "EUR 3,720"),
        (LEASE, "What is the notice period?", "three months"),
        (LEASE_ZH, "月租金是多少？", "3,250元"),
        (LEASE_ZH, "押金是多少？", "6500元"),
        (LEASE_ZH, "租期从什么时候开始？", "2029年5月1日"),
    ],
)
def test_plain_lease_questions_are_answered(starter: Llama, passage: str, question: str, expected: str) -> None:
    (message,) = build_starter_messages(question, [passage])
    assert answer(starter, message.content) == expected


def test_held_out_values_are_copied(starter: Llama) -> None:
    assert share_right(starter, "value") >= FLOOR_VALUE


def test_what_is_not_there_is_often_refused(starter: Llama) -> None:
    assert share_right(starter, "absent") >= FLOOR_ABSENT


def test_tool_calls_are_written_exactly(starter: Llama) -> None:
    assert share_right(starter, "tool") >= FLOOR_TOOL


def test_an_answer_ends_by_itself(starter: Llama) -> None:
    (message,) = build_starter_messages("What is the monthly rent?", [LEASE])
    out = starter.create_chat_completion([{"role": "user", "content": message.content}], temperature=0.0, max_tokens=64)
    assert out["choices"][0]["finish_reason"] == "stop"
