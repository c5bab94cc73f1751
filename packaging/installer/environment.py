"""The private Python environment in .venv: made, checked, and made again when it is broken.

An environment is trusted when its own Python starts, has pip, and is a version the project supports.
"""

from __future__ import annotations

import importlib.util
import locale
import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from installer.problems import NO_SPACE, SetupError

MIN_FREE_BYTES = 2_000_000_000  # packages 0.7 GB, the engine's build tree 0.6 GB, pip's own copies
_PROBE = (
    "import sys, sysconfig, pip; print(*sys.version_info[:2], sysconfig.get_platform(), sys.prefix != sys.base_prefix)"
)


@dataclass(frozen=True, slots=True)
class Environment:
    root: Path
    folder: Path

    @property
    def scripts(self) -> Path:
        return self.folder / ("Scripts" if os.name == "nt" else "bin")

    @property
    def python(self) -> Path:
        return self.scripts / ("python.exe" if os.name == "nt" else "python")

    def tag(self) -> str | None:
        """Python version and platform as one string, or None when this is not a working environment."""
        try:
            probe = [str(self.python), "-I", "-c", _PROBE]
            result = subprocess.run(probe, capture_output=True, text=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        words = result.stdout.split()
        if result.returncode != 0 or len(words) != 4 or words[3] != "True":
            return None
        return " ".join(words[:3]) if (3, 11) <= (int(words[0]), int(words[1])) <= (3, 13) else None

    def create(self) -> str:
        """Makes the environment anew and returns its tag. Raises SetupError."""
        if shutil.disk_usage(self.root).free < MIN_FREE_BYTES:
            raise SetupError(NO_SPACE)
        if importlib.util.find_spec("ensurepip") is None:
            raise SetupError(
                "This Python comes without the venv module: install it (Debian: apt-get install python3-venv) "
                "and run the same command again."
            )
        try:
            if self.folder.exists():
                shutil.rmtree(self.folder)
            venv.create(self.folder, with_pip=True, symlinks=os.name != "nt", prompt="jingyan")
        except (OSError, subprocess.CalledProcessError) as error:
            raise SetupError(f"The environment {self.folder} could not be made: {error}.") from error
        tag = self.tag()
        if tag is None:
            raise SetupError(
                f"The new environment {self.folder} does not start: reinstall Python {sys.version_info[0]}."
            )
        return tag

    def publish_project(self) -> None:
        """Makes `import app` and the command `jingyan` work from any folder while the sources stay where they are."""
        site = self._site_packages()
        encoding = "utf-8" if sys.version_info >= (3, 13) else locale.getpreferredencoding(False)
        (site / "jingyan.pth").write_text(f"{self.root}\n", encoding)
        if os.name == "nt":
            launcher = self.scripts / "jingyan.cmd"
            launcher.write_text('@"%~dp0python.exe" -P -m app %*\r\n', "ascii")
        else:
            launcher = self.scripts / "jingyan"
            launcher.write_text('#!/bin/sh\nexec "$(dirname "$(readlink -f "$0")")/python" -P -m app "$@"\n', "ascii")
            launcher.chmod(0o755)

    def compile_bytecode(self) -> None:
        """Compiles all that start-up imports, even where Python may not write bytecode. Failures are harmless."""
        folders = [str(self.root / "app"), str(self._site_packages())]
        command = [str(self.python), "-m", "compileall", "-q", "-j", "0", *folders]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)

    def _site_packages(self) -> Path:
        if os.name == "nt":
            return self.folder / "Lib" / "site-packages"
        return next((self.folder / "lib").glob("python3.*/site-packages"))
