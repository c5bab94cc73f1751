"""System calls through the C library, for Linux on the processors we know. No policy in here."""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from enum import Enum

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38


class Machine(Enum):
    """Processors whose system call numbers are known; the value is the audit architecture of linux/audit.h."""

    X86_64 = 0xC000003E
    AARCH64 = 0xC00000B7


def machine() -> Machine | None:
    """This process's machine, or None when its system calls are not known to us (also 32-bit on 64-bit kernels)."""
    if sys.maxsize < 2**32 or sys.byteorder != "little":
        return None
    return {"x86_64": Machine.X86_64, "aarch64": Machine.AARCH64}.get(os.uname().machine)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def syscall(number: int, *args: int | ctypes.Array[ctypes.c_char] | bytes | None) -> int:
    """The call's result. Raises OSError. Integers go in as 64-bit values, buffers as pointers."""
    function = _libc().syscall
    function.restype = ctypes.c_long
    converted = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    result = int(function(ctypes.c_long(number), *converted))
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def prctl(option: int, value: int) -> None:
    """Raises OSError."""
    zero = ctypes.c_ulong(0)
    if _libc().prctl(ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
