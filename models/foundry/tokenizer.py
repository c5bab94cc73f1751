"""Byte-level BPE with GLM-4's special tokens, and the chat template of the starters.

llama.cpp splits text with the `glm4` expression (RUNTIME_SPLIT) and the vocabulary is used with ignore_merges. Training
splits more finely, so that no token joins what a value must be copied from: digits, Han characters and punctuation stay
single, and no token starts with a blank before a capital letter, a digit or a Han character (" Zorvex" and "Zorvex"
would otherwise be different tokens, and copying would have to be learnt for each word).
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from jinja2 import Template
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

RUNTIME_SPLIT = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TRAINING_SPLIT = r" (?=[\p{Lu}\p{N}\p{Han}])|\p{Han}|[^\s\p{L}\p{N}]"
SPECIALS = [
    *("<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>"),
    *("<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"),
    *("<|begin_of_image|>", "<|end_of_image|>", "<|image|>", "<|begin_of_video|>", "<|end_of_video|>"),
]
# A user turn of numbered passages gets its question in front as well: so small a model must know what is asked while it
# reads. Every newline lives inside {{ '...' }}: with trim_blocks a raw newline after a tag disappears.
TEMPLATE = (
    "{{ '[gMASK]<sop>' }}"
    "{%- if tools %}{{ '<|system|>\n# 可用工具' }}"
    "{%- for t in tools %}{{ '\n## ' + t.function.name + '\n' + t.function.description + '\n'"
    " + (t.function.parameters.properties.keys() | list | join(', ')) }}{%- endfor %}"
    "{{ '\n在调用上述函数时，请使用 Json 格式表示调用的参数。' }}{%- endif %}"
    "{%- for m in messages %}"
    "{%- if m.role == 'tool' %}{{ '<|observation|>\n' + m.content }}"
    "{%- else %}{{ '<|' + m.role + '|>\n' }}"
    "{%- if m.content is string %}"
    "{%- if m.role == 'user' and m.content.startswith('[1] ') %}"
    "{%- set mark = '\n\nQuestion: ' if '\n\nQuestion: ' in m.content else '\n\n问题：' %}"
    "{{ mark[2:] + m.content.split(mark)[-1] + '\n\n' }}{%- endif %}"
    "{{ m.content }}"
    "{%- else %}{%- for c in m.content %}{%- if c.type == 'text' %}{{ c.text }}{%- endif %}{%- endfor %}{%- endif %}"
    "{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{ '<|assistant|>\n' }}{%- endif %}"
)


def _splitter(training: bool) -> pre_tokenizers.PreTokenizer:
    steps: list[pre_tokenizers.PreTokenizer] = [pre_tokenizers.Split(Regex(RUNTIME_SPLIT), "isolated")]
    if training:
        steps.append(pre_tokenizers.Split(Regex(TRAINING_SPLIT), "isolated"))
        steps.append(pre_tokenizers.Digits(individual_digits=True))
    return pre_tokenizers.Sequence([*steps, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def train_tokenizer(lines: Iterable[str], vocab_size: int) -> Tokenizer:
    """A tokenizer with exactly `vocab_size` tokens, the specials last."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = _splitter(training=True)
    tokenizer.decoder = decoders.ByteLevel()
    ordinary = vocab_size - len(SPECIALS)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=ordinary, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.pre_tokenizer = _splitter(training=False)
    while (size := tokenizer.get_vocab_size()) < ordinary:
        tokenizer.add_tokens([AddedToken(f"<|reserved_{size}|>", special=True)])
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIALS])
    return tokenizer


@cache
def _template() -> Template:
    return ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(TEMPLATE)


def render(messages: Sequence[dict], tools: Sequence[dict] | None = None, add_generation_prompt: bool = True) -> str:
    """The prompt text of `messages`, as llama-cpp-python renders the template inside the GGUF."""
    return _template().render(messages=messages, tools=tools, add_generation_prompt=add_generation_prompt)


def _training_lines(pack_folder: Path, seed: int, samples: int) -> Iterator[str]:
    """Natural text of both languages and our own samples, about equal shares."""
    from data_text import Writer
    from natural import Pack

    pack = Pack(pack_folder, seed, "train")
    yield from pack.paragraphs["en"][:9000]
    yield from pack.paragraphs["zh"][:22000]
    writer = Writer(seed, "train", None)
    for _ in range(samples):
        sample = writer.sample(1.0)
        yield sample.context
        for turn in sample.turns:
            yield turn.question
            yield turn.answer


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the starter's tokenizer.")
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--vocab", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    random.seed(options.seed)
    tokenizer = train_tokenizer(_training_lines(options.pack, options.seed, 4000), options.vocab)
    tokenizer.save(str(options.out))
    print("tokens", tokenizer.get_vocab_size())


if __name__ == "__main__":
    main()
