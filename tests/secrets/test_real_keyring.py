"""The vault contract on a real GNOME keyring, in a session bus of its own.

`test_a_real_keyring_keeps_the_contract` starts the bus and the daemon and runs this file's contract inside.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.core.ports import KeyVault
from app.secrets import KeyringVault, safe_backend
from tests.contract.vault_contract import VaultContract

INSIDE = "JINGYAN_TEST_KEYRING"
PROGRAMS = ("dbus-run-session", "gnome-keyring-daemon")
REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = """
printf 'a login password' | gnome-keyring-daemon --unlock --components=secrets --daemonize > /dev/null
"$0" -m pytest -q -p no:cacheprovider --noconftest tests/secrets/test_real_keyring.py
"""


@pytest.mark.skipif(INSIDE in os.environ, reason="already inside")
@pytest.mark.skipif(not all(map(shutil.which, PROGRAMS)), reason=f"needs {' and '.join(PROGRAMS)}")
def test_a_real_keyring_keeps_the_contract(tmp_path: Path) -> None:
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    environment = {
        **os.environ,
        INSIDE: "1",
        "HOME": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_RUNTIME_DIR": str(runtime),
    }
    environment.pop("PYTHON_KEYRING_BACKEND", None)
    environment.pop("DBUS_SESSION_BUS_ADDRESS", None)
    done = subprocess.run(
        ["dbus-run-session", "--", "sh", "-c", SCRIPT, sys.executable],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed, 1 skipped" in done.stdout
    stored = b"".join(file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file())
    assert stored, "the keyring wrote its file"
    assert b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=" not in stored


if INSIDE in os.environ:

    class TestRealKeyring(VaultContract):
        @pytest.fixture
        def new_vault(self, tmp_path: Path) -> Callable[[], KeyVault]:
            return lambda: KeyringVault(tmp_path / "library.key", safe_backend())
