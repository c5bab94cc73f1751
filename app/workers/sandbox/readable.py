"""The files every child may read: the program itself, its libraries, fonts, and what the C library looks up."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from app.core.paths import program_root

_SYSTEM = (
    # shared libraries, loaded lazily by native packages, and how they are found
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    # fonts for pages that do not carry theirs
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "/usr/share/fontconfig",
    "/etc/fonts",
    # time zones and languages
    "/usr/share/zoneinfo",
    "/etc/localtime",
    "/usr/share/locale",
    # randomness, and how many processors and how much memory there are
    "/dev/urandom",
    "/dev/random",
    "/dev/null",
    "/dev/zero",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system",
)
_GRAPHICS = (
    "/proc/driver/nvidia",
    "/proc/devices",
    "/proc/sys/vm/mmap_min_addr",
    "/sys/bus/pci",
    "/sys/class",
    "/sys/devices",
    "/sys/module",
    "/usr/local/cuda",
    "/opt/rocm",
    "/usr/share/nvidia",
    "/usr/share/vulkan",
    "/etc/vulkan",
    "/usr/share/drirc.d",
    "/etc/OpenCL",
)
_DEVICE_PATTERNS = ("nvidia*", "dri", "kfd")
_PACKAGE_FOLDERS = ("site-packages", "dist-packages")


def program_paths(*, devices: bool) -> list[Path]:
    """Files and folders to read; some need not exist."""
    root = program_root()
    paths = [root / "app", root / "resources", Path(sys.prefix), Path(sys.base_prefix), Path(sys.exec_prefix)]
    paths += [Path(entry) for entry in sys.path if Path(entry).name in _PACKAGE_FOLDERS]
    paths += [Path(entry) for entry in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if entry]
    paths += [Path(entry) for entry in _SYSTEM + (_GRAPHICS if devices else ())]
    return [path for path in dict.fromkeys(paths) if path.is_absolute() and path != Path(path.anchor)]


def device_paths(*, devices: bool) -> list[Path]:
    """Graphics cards of this machine."""
    if not devices:
        return []
    return [path for pattern in _DEVICE_PATTERNS for path in Path("/dev").glob(pattern)]
