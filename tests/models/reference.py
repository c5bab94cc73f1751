"""What the text starter says through llama-cpp-python's own class: `reference.py MODEL < requests.json > answers.json`.

A request is {"content": ..., "tools": ...} to be answered, or {"render": messages, "tools": ...} to be rendered.
A process of its own: that class takes over llama.cpp's log, and brings in what our binding keeps out.
"""

from __future__ import annotations

import json
import sys

from llama_cpp import Llama
from llama_cpp.llama_chat_format import Jinja2ChatFormatter


def main() -> None:
    llm = Llama(sys.argv[1], n_ctx=1024, verbose=False, n_threads=1, n_threads_batch=1)
    template = Jinja2ChatFormatter(llm.metadata["tokenizer.chat_template"], eos_token="", bos_token="")
    answers = []
    for request in json.load(sys.stdin):
        tools = request.get("tools")
        if "render" in request:
            answers.append(template(messages=request["render"], tools=tools).prompt)
            continue
        message = {"role": "user", "content": request["content"]}
        reply = llm.create_chat_completion([message], tools=tools, temperature=0.0, max_tokens=64)
        choice = reply["choices"][0]
        answers.append({"text": choice["message"]["content"].strip(), "end": choice["finish_reason"]})
    metadata = {k: v for k, v in llm.metadata.items() if k.startswith(("general.", "glm4."))}
    json.dump({"answers": answers, "metadata": metadata}, sys.stdout)
    llm.close()


if __name__ == "__main__":
    main()
