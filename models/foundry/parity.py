"""PyTorch and llama.cpp compute the same text model: tokens, logits, greedy answers, end tokens, template.

With a checkpoint it is compared in every file type; without, a random model with and without M-RoPE sections. F32
weights with an F32 KV cache must agree to 1e-3; exit status 1 otherwise.

    python parity.py --tokenizer tok.json [text.pt]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import llama_cpp
import numpy as np
import torch
from data_text import Sample, Writer
from eval_text import content_of
from gguf_export import export_text, load_checkpoint
from glm_model import GLM4, TextConfig
from llama_cpp import Llama
from llama_cpp.llama_chat_format import Jinja2ChatFormatter
from tokenizer import render
from tokenizers import Tokenizer
from torch import nn

MOST = 1e-3
END_TOKENS = ("<|endoftext|>", "<|user|>", "<|observation|>")
F32_KV = 0


def randomise(model: nn.Module, spread: float) -> None:
    """Weights large enough that every part of the graph matters."""
    for name, param in model.named_parameters():
        if name == "pos":
            nn.init.normal_(param, std=0.7)
        elif param.dim() >= 2:
            nn.init.normal_(param, std=spread)
        elif name.endswith("bias"):
            nn.init.normal_(param, std=0.2)
        else:
            nn.init.uniform_(param, 0.5, 1.5)


def test_prompts(count: int) -> list[tuple[list[dict], list[dict] | None]]:
    """Messages and tools of held-out questions."""
    writer = Writer(7, "test", None)
    samples: list[Sample] = []
    while len(samples) < count:
        sample = writer.sample(1.0)
        if sample.turns:
            samples.append(sample)
    return [
        ([{"role": "user", "content": content_of(s, s.turns[0])}], [t.spec() for t in s.tools] or None) for s in samples
    ]


def logits(llm: Llama, ids: list[int]) -> np.ndarray:
    llm.reset()
    llm._ctx.kv_cache_clear()
    llm.eval(ids)
    return llm.scores[: len(ids)].copy()


def greedy(llm: Llama, ids: list[int], count: int, stop: set[int]) -> list[int]:
    out: list[int] = []
    llm.reset()
    llm._ctx.kv_cache_clear()
    llm.eval(ids)
    while len(out) < count:
        token = int(np.argmax(llm.scores[llm.n_tokens - 1]))
        if token in stop:
            break
        out.append(token)
        llm.eval([token])
    return out


def compare(model: GLM4, tokenizer_path: Path, kind: str, cache: int | None, label: str) -> float:
    """Print one line; returns the largest difference of logits."""
    tokenizer = Tokenizer.from_file(str(tokenizer_path))
    stop = {tokenizer.token_to_id(name) for name in END_TOKENS}
    worst, same_best, positions, same_answer, same_tokens, same_text = 0.0, 0, 0, 0, 0, 0
    prompts = test_prompts(20)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        export_text(model, tokenizer_path, path, kind, "parity")
        types = {} if cache is None else {"type_k": cache, "type_v": cache}
        llm = Llama(str(path), n_ctx=2048, n_batch=512, logits_all=True, verbose=False, n_threads=1, **types)
        template = llm.metadata["tokenizer.chat_template"]
        formatter = Jinja2ChatFormatter(template=template, eos_token="<|endoftext|>", bos_token="<|endoftext|>")
        vocab = llama_cpp.llama_model_get_vocab(llm.model)
        if not all(llama_cpp.llama_vocab_is_eog(vocab, token) for token in stop):
            raise SystemExit("an end token does not end generation")
        for messages, tools in prompts:
            prompt = render(messages, tools)
            same_text += formatter(messages=messages, tools=tools).prompt == prompt
            ids = tokenizer.encode(prompt, add_special_tokens=False).ids
            same_tokens += llm.tokenize(prompt.encode(), add_bos=True, special=True) == ids
            with torch.no_grad():
                expected = model(torch.tensor([ids]))[0].numpy()
            got = logits(llm, ids)
            worst = max(worst, float(np.abs(got - expected).max()))
            same_best += int((got.argmax(-1) == expected.argmax(-1)).sum())
            positions += len(ids)
            same_answer += model.greedy(ids, 24, stop) == greedy(llm, ids, 24, stop)
        size = path.stat().st_size
        llm.close()
    print(
        f"{label} {kind} KV {'F32' if cache == F32_KV else 'F16'} {size / 1e6:.2f} MB: largest logit difference "
        f"{worst:.1e}, same best {same_best}/{positions}, same answer {same_answer}/20, same tokens {same_tokens}/20, "
        f"same template {same_text}/20",
        flush=True,
    )
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, nargs="?")
    parser.add_argument("--tokenizer", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    worst = []
    if options.checkpoint:
        model = load_checkpoint(options.checkpoint)
        worst.append(compare(model, options.tokenizer, "F32", F32_KV, "trained"))
        for kind in ("F16", "Q8_0", "Q4_0"):
            compare(model, options.tokenizer, kind, None, "trained")
    else:
        size = Tokenizer.from_file(str(options.tokenizer)).get_vocab_size()
        for label, sections in (("plain rotary", None), ("M-RoPE", (2, 3, 3))):
            torch.manual_seed(1)
            model = GLM4(TextConfig(vocab_size=size, mrope=sections)).eval()
            randomise(model, 0.06)
            worst.append(compare(model, options.tokenizer, "F32", F32_KV, label))
    sys.exit(max(worst) > MOST)


if __name__ == "__main__":
    main()
