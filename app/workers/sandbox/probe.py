"""Try to break out, to learn what holds. Each probe would succeed, or fail otherwise, without its protection."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from app.workers.sandbox import syscalls
from app.workers.sandbox.libc import Machine, syscall

_AF_UNIX, _AF_INET, _SOCK_STREAM = 1, 2, 1
_CLONE_SIGHAND = 0x800  # without CLONE_VM: "invalid" to the kernel, so an unfiltered probe starts no process
_FORBIDDEN_TO_READ = (Path("/"), Path("/etc/passwd"), Path("/proc/1/status"))
_FORBIDDEN_TO_WRITE = (Path("/dev/null"),)  # opening it for writing changes nothing, should it work


def open_before() -> tuple[tuple[Path, int], ...]:
    """What could be opened before the sandbox closes; only these prove anything afterwards."""
    wanted = [(path, os.O_RDONLY) for path in _FORBIDDEN_TO_READ] + [
        (path, os.O_WRONLY) for path in _FORBIDDEN_TO_WRITE
    ]
    return tuple((path, flags) for path, flags in wanted if _can_open(path, flags))


def landlock_holds(could_open: tuple[tuple[Path, int], ...]) -> bool:
    """Nothing of it opens any more, and there was at least one to read and one to write."""
    modes = {flags for _path, flags in could_open}
    return modes == {os.O_RDONLY, os.O_WRONLY} and not any(_can_open(path, flags) for path, flags in could_open)


def seccomp_holds(machine: Machine) -> bool:
    """No socket, no exec, no new process: each refused by the filter, not by chance."""
    column = 0 if machine is Machine.X86_64 else 1
    socket, execve = syscalls.NETWORK["socket"][column], syscalls.PROCESSES["execve"][column]
    clone = syscalls.CLONE[column]
    if socket is None or execve is None or clone is None:
        return False
    probes: tuple[Callable[[], int], ...] = (
        lambda: syscall(socket, _AF_INET, _SOCK_STREAM, 0),
        lambda: syscall(socket, _AF_UNIX, _SOCK_STREAM, 0),
        lambda: syscall(execve, b"/nonexistent/program\0", None, None),
        lambda: syscall(clone, _CLONE_SIGHAND, 0, 0, 0, 0),
    )
    return all(_is_refused(probe) for probe in probes)


def _is_refused(attempt: Callable[[], int]) -> bool:
    try:
        attempt()
    except OSError as error:
        return error.errno == errno.EPERM
    return False


def _can_open(path: Path, flags: int) -> bool:
    try:
        fd = os.open(path, flags | os.O_CLOEXEC)
    except OSError:
        return False
    os.close(fd)
    return True
