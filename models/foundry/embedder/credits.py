"""Name every text source of the embedder and the dictionary, by licence: models/starter/embedder/CREDITS.md.

python -m models.foundry.embedder.credits --pack ../shared/data/train > models/starter/embedder/CREDITS.md
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path

HEAD = """# Where these files come from

`embedder.safetensors`, `vocab.json` and `dict_enzh.json` were learned from the public texts below by
models/foundry/embedder; they hold word statistics and numbers, no passages. `t2s.json` is the character table of
zhconv 1.4.3 (from MediaWiki's conversion tables), GPL-2.0-or-later. Sources under CC BY-SA ask that adapted texts be
shared alike, and sources under CC BY that they be named: whoever passes these files on keeps this list with them.

Sources are GitHub repositories unless named otherwise, at the commit given.
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--pack", type=Path, required=True)
    pack = arguments.parse_args().pack
    sources: defaultdict[str, dict[str, str]] = defaultdict(dict)
    with (pack / "MANIFEST.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            sources[row["licence"]][row["source_repo"]] = row["commit"][:12]
    print(HEAD, end="")
    for licence in sorted(sources):
        print(f"\n## {licence}\n")
        for repository, commit in sorted(sources[licence].items()):
            print(f"- {repository} ({commit})")


if __name__ == "__main__":
    main()
