"""Makes the installer importable: it lives in packaging/, which is a folder of scripts and not on the path."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "packaging"))
