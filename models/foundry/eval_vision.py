"""Accuracy of a small GLM-4V on held-out pictures through llama.cpp, by kind of question.

python eval_vision.py vision.pt --tokenizer tok.json --count 160
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections import defaultdict
from pathlib import Path

import torch
from data_vision import make_scene
from gguf_export import export_text
from gguf_vision import export_mmproj
from tokenizers import Tokenizer
from vision_llama import VisionReader
from vision_model import build


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--count", type=int, default=160)
    parser.add_argument("--split", choices=["train", "test"], default="test")
    parser.add_argument("--easy", action="store_true")
    parser.add_argument("--keep", type=Path, help="folder to keep the GGUF files in")
    options = parser.parse_args()
    data = torch.load(options.checkpoint)
    model = build(Tokenizer.from_file(str(options.tokenizer)), data["d"])
    model.load_state_dict(data["weights"])
    rng = random.Random(991)
    right: dict[str, list[bool]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        place = options.keep or Path(folder)
        text, mmproj = place / "vision_text_f16.gguf", place / "vision_mmproj_f16.gguf"
        export_text(model.text, options.tokenizer, text, "F16", "jingyan-starter-vision")
        export_mmproj(model.vision, mmproj, "F16", "jingyan-starter-vision-mmproj")
        reader = VisionReader(text, mmproj)
        for _ in range(options.count):
            scene = make_scene(rng, options.split, options.easy)
            question, answer, kind = scene.questions[0]
            right[kind].append(reader.answer(scene.image, question) == answer)
    for kind, results in sorted(right.items()):
        print(f"{kind:12s} {sum(results)} / {len(results)}")


if __name__ == "__main__":
    main()
