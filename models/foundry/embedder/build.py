"""Make the embedder and the dictionary from the training pack, into models/starter/embedder.

    python -m models.foundry.embedder.build --pack ../shared/data/train [--steps 250] [--only-dictionary]

Run from the repository's root, in an environment with the packages of requirements.txt (beside this file).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import zhconv
from safetensors.numpy import save_file

from models.foundry.embedder.align import Alignment, align, save, written_forms
from models.foundry.embedder.batches import Batches
from models.foundry.embedder.ids import Vocabulary, build_vocabulary
from models.foundry.embedder.pack import Pack, read_pack
from models.foundry.embedder.start import start_vectors
from models.foundry.embedder.train import Trained, train

DIM, COMPONENTS, BATCH, SEED = 256, 384, 2048, 0


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--pack", type=Path, required=True)
    arguments.add_argument("--out", type=Path, default=Path("models/starter/embedder"))
    arguments.add_argument("--steps", type=int, default=250)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--only-dictionary", action="store_true")
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    write_simplified(options.out / "t2s.json")
    pack = read_pack(options.pack)
    print(f"{len(pack.chunks)} chunks, {len(pack.questions)} questions, {len(pack.pairs)} pairs", flush=True)
    alignment = align([(p["zh"], p["en"]) for p in pack.pairs] + pack.names)
    save(alignment, english_forms(pack), options.out / "dict_enzh.json")
    print(f"dictionary: {len(alignment.english_of)} Chinese, {len(alignment.chinese_of)} English words", flush=True)
    if not options.only_dictionary:
        build_embedder(pack, alignment, options.out, options.steps)


def build_embedder(pack: Pack, alignment: Alignment, out: Path, steps: int) -> None:
    texts = [c.text for c in pack.chunks] + [q["question"] for q in pack.questions + pack.validation_questions]
    vocabulary = build_vocabulary(texts + [p[side] for p in pack.pairs for side in ("en", "zh")])
    vocabulary.save(out / "vocab.json")
    print(f"vocabulary: {vocabulary.size} rows", flush=True)
    batches = Batches(pack, vocabulary, alignment, BATCH, SEED)
    start, idf = start_vectors(batches.chunks, batches.english, batches.chinese, vocabulary, DIM, COMPONENTS, SEED)
    print("start vectors made", flush=True)
    write_weights(train(batches, start, idf, steps, SEED), vocabulary, out / "embedder.safetensors")


def english_forms(pack: Pack) -> dict[str, str]:
    """Chinese text too: it quotes the English names that the dictionary takes from it."""
    return written_forms([c.text for c in pack.chunks] + [p["en"] for p in pack.pairs])


def write_simplified(path: Path) -> None:
    """Traditional -> simplified, character by character."""
    table = {str(o): s for o in range(0x3400, 0xA000) if len(s := zhconv.convert(chr(o), "zh-cn")) == 1 and s != chr(o)}
    path.write_text(json.dumps(table, ensure_ascii=False), "utf-8")


def write_weights(trained: Trained, vocabulary: Vocabulary, path: Path) -> None:
    """8-bit rows with a 16-bit scale each; token weights in 16 bits."""
    scale = np.abs(trained.vectors).max(1, keepdims=True) / 127
    scale[scale == 0] = 1
    tensors = {
        "emb_int8": np.clip(np.round(trained.vectors / scale), -127, 127).astype(np.int8),
        "scale_fp16": scale.astype(np.float16),
        "wq": trained.question_weights.astype(np.float16),
        "wp": trained.passage_weights.astype(np.float16),
    }
    save_file(tensors, path, metadata={"dim": str(trained.vectors.shape[1]), "rows": str(vocabulary.size)})


if __name__ == "__main__":
    main()
