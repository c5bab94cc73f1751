"""The text starter really answers: template as trained, held-out questions right more often than a stated floor.

held_out.jsonl was written by models/foundry/eval_text.py (--write-questions, seed 99): values that training never saw.
Scores are counted, not timed; temperature 0 makes them repeatable on one machine. The floor is safely below what was
measured (models/starter/README.md), because other processors round differently.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app.answering.prompt import build_starter_messages
from app.core.paths import starter_models

QUESTIONS = [json.loads(line) for line in (Path(__file__).parent / "held_out.jsonl").read_text("utf-8").splitlines()]
LEASE = "The monthly rent is EUR 1,240. The security deposit is EUR 3,720. The notice period is three months."
LEASE_ZH = "月租金为3,250元，按月支付。押金为6500元，退租时无息退还。租期从2029年5月1日开始。"
FLOOR_VALUE, FLOOR_ABSENT, FLOOR_TOOL = 0.55, 0.5, 0.75  # measured: 36/48, 10/12, 8/8


def ask_starter(requests: Sequence[dict[str, Any]], model: Path | None = None) -> dict[str, Any]:
    """The answers to all requests, by reference.py in a process of its own."""
    command = [
        sys.executable,
        str(Path(__file__).with_name("reference.py")),
        str(model or starter_models() / "text.gguf"),
    ]
    done = subprocess.run(command, input=json.dumps(requests), capture_output=True, text=True, check=True, timeout=150)
    return json.loads(done.stdout)


def share_right(group: str) -> float:
    rows = [row for row in QUESTIONS if row["bucket"].startswith(group)]
    assert len(rows) >= 8
    answers = ask_starter([{"content": row["content"], "tools": row.get("tools")} for row in rows])["answers"]
    return sum(a["text"] == row["answer"] for a, row in zip(answers, rows, strict=True)) / len(rows)


def test_application_writes_the_prompt_the_starter_was_trained_on() -> None:
    english = build_starter_messages("What is the deposit?", ["First\nline.", "Second."])
    assert [m.content for m in english] == ["[1] First line.\n[2] Second.\n\nQuestion: What is the deposit?"]
    chinese = build_starter_messages("押金是多少？", ["押金为6500元。"])
    assert [m.content for m in chinese] == ["[1] 押金为6500元。\n\n问题：押金是多少？"]


TOOL = {
    "type": "function",
    "function": {
        "name": "read_page",
        "description": "Read one page of a document",
        "parameters": {"properties": {"document": {}, "page": {}}},
    },
}


@pytest.mark.parametrize(
    ("content", "tools", "prompt"),
    [
        (
            "[1] A.\n\nQuestion: B?",
            None,
            "[gMASK]<sop><|user|>\nQuestion: B?\n\n[1] A.\n\nQuestion: B?<|assistant|>\n",
        ),
        ("[1] 甲。\n\n问题：乙？", None, "[gMASK]<sop><|user|>\n问题：乙？\n\n[1] 甲。\n\n问题：乙？<|assistant|>\n"),
        ("Hello. Question: 1?", None, "[gMASK]<sop><|user|>\nHello. Question: 1?<|assistant|>\n"),
        (
            "C",
            [TOOL],
            "[gMASK]<sop><|system|>\n# 可用工具\n## read_page\nRead one page of a document\ndocument, page"
            "\n在调用上述函数时，请使用 Json 格式表示调用的参数。<|user|>\nC<|assistant|>\n",
        ),
    ],
)
def test_template_in_the_file_renders_as_trained(content: str, tools: list[dict[str, Any]] | None, prompt: str) -> None:
    request = {"render": [{"role": "user", "content": content}], "tools": tools}
    assert ask_starter([request])["answers"] == [prompt]


def test_plain_lease_questions_are_answered() -> None:
    expected = [
        (LEASE, "What is the monthly rent?", "EUR 1,240"),
        (LEASE, "How much is the security deposit?", "EUR 3,720"),
        (LEASE, "What is the notice period?", "three months"),
        (LEASE_ZH, "月租金是多少？", "3,250元"),
        (LEASE_ZH, "押金是多少？", "6500元"),
        (LEASE_ZH, "租期从什么时候开始？", "2029年5月1日"),
    ]
    requests = [{"content": build_starter_messages(q, [passage])[0].content} for passage, q, _ in expected]
    answers = ask_starter(requests)["answers"]
    assert [a["text"] for a in answers] == [value for *_, value in expected]
    assert {a["end"] for a in answers} == {"stop"}


def test_held_out_values_are_copied() -> None:
    assert share_right("value") >= FLOOR_VALUE


def test_what_is_not_there_is_often_refused() -> None:
    assert share_right("absent") >= FLOOR_ABSENT


def test_tool_calls_are_written_exactly() -> None:
    assert share_right("tool") >= FLOOR_TOOL
