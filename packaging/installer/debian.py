"""The Debian packages the program and its tests need from the system.

Installs what is missing when it may (root on Debian or a child of it); otherwise it prints the one command that does.
Either way setting up goes on: a desktop usually has most of them, and without a screen only the window is lost.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

from installer.console import Console
from installer.problems import from_output

# Qt's own libraries for a window on X11 or drawn offscreen, OpenMP for the engine, fonts for both languages.
FOR_RUN = (
    "libegl1",
    "libgl1",
    "libfontconfig1",
    "libglib2.0-0",
    "libdbus-1-3",
    "libxkbcommon0",
    "libgssapi-krb5-2",
    "libgomp1",
    "fonts-noto-core",
    "fonts-noto-cjk",
    "fonts-noto-color-emoji",
    "libxcb-cursor0",
    "libxcb-icccm4",
    "libxcb-keysyms1",
    "libxcb-shape0",
    "libxcb-xkb1",
    "libxkbcommon-x11-0",
    "libxcb-randr0",
    "libx11-xcb1",
)
# A screen nobody sees, a window manager, a tray, a hand that drags, and a keyring of the tests' own.
FOR_TEST = (
    "xvfb",
    "xauth",
    "openbox",
    "trayer",
    "xdotool",
    "dbus-x11",
    "gnome-keyring",
    "libsecret-tools",
)
COMPILER = "build-essential"


def is_debian() -> bool:
    return Path("/etc/debian_version").exists() and shutil.which("apt-get") is not None


def ensure(console: Console, *, for_test: bool, needs_compiler: bool) -> None:
    """Installs what is missing, or prints how to. Never raises: what is missing shows where it is needed."""
    if not is_debian():
        return
    missing = _missing(_wanted(for_test=for_test, needs_compiler=needs_compiler))
    if not missing:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if os.geteuid() != 0:
        console.say(f"Some system packages are missing; this installs them:\n    sudo {' '.join(command)}")
        return
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    console.run("Reading the list of system packages", ["apt-get", "update"], env=env)
    title = f"Installing {len(missing)} system packages"
    status, tail = console.run(title, command, env=env, notice=_notice)
    if status != 0:
        console.say(str(from_output(tail, title, console.log)))
        console.say(f"Going on without them; this installs them later:\n    {' '.join(command)}")


def _wanted(*, for_test: bool, needs_compiler: bool) -> list[str]:
    wanted = list(FOR_RUN) + (list(FOR_TEST) if for_test else [])
    if needs_compiler and not (shutil.which("c++") and shutil.which("cc")):
        wanted.append(COMPILER)
    if importlib.util.find_spec("ensurepip") is None:  # Debian cuts it out of its Python packages
        wanted.append("python3-venv")
    return wanted


def _missing(wanted: list[str]) -> list[str]:
    """Those of `wanted` that no installed package is or provides (names changed with Debian's 64-bit time)."""
    query = ["dpkg-query", "-W", "-f=${db:Status-Status}\t${Package}\t${Provides}\n"]
    listing = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    there: set[str] = set()
    for line in listing.splitlines():
        status, package, provides = line.split("\t", 2)
        if status == "installed":
            there.add(package)
            there.update(name.split()[0] for name in provides.split(",") if name.strip())
    return [name for name in wanted if name not in there]


def _notice(line: str) -> str | None:
    return line.strip() if line.startswith(("Unpacking", "Setting up", "Get:")) else None
