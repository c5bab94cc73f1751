"""Tokens per CPU-second of GGUF files, one thread: reading a prompt and writing.

CPU time is robust when other work shares the cores; wall time is not.

    python speed.py text_q8_0.gguf big.gguf
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from llama_cpp import Llama


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--write", type=int, default=128)
    options = parser.parse_args()
    for path in options.models:
        llm = Llama(str(path), n_ctx=1024, n_batch=512, verbose=False, n_threads=1, n_threads_batch=1)
        ids = np.random.default_rng(1).integers(300, 1900, options.prompt).tolist()
        llm.eval(ids[:16])  # warm up
        llm.reset()
        llm._ctx.kv_cache_clear()
        started = time.process_time()
        llm.eval(ids)
        read = time.process_time()
        for token in ids[: options.write]:
            llm.eval([token])
        written = time.process_time()
        llm.close()
        print(
            f"{path.name} {path.stat().st_size / 1e6:.2f} MB: reads {options.prompt / (read - started):.0f}, "
            f"writes {options.write / (written - read):.1f} tokens per CPU-second"
        )


if __name__ == "__main__":
    main()
