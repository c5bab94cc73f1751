"""What llama-cpp-python's own high-level class answers: `reference.py MODEL < prompts.json > answers.json`.

A process of its own, because that class pulls in what our binding keeps out.
"""

from __future__ import annotations

import json
import sys

from llama_cpp import Llama


def main() -> None:
    llm = Llama(sys.argv[1], n_ctx=1024, n_batch=256, n_threads=1, n_threads_batch=1, verbose=False)
    answers = []
    for prompt in json.load(sys.stdin):
        llm.reset()
        reply = llm.create_chat_completion(
            messages=[{"role": "user", "content": prompt}], temperature=0.0, max_tokens=40, repeat_penalty=1.0
        )
        answers.append([reply["choices"][0]["message"]["content"], reply["usage"]["prompt_tokens"]])
    json.dump(answers, sys.stdout)
    llm.close()


if __name__ == "__main__":
    main()
