"""Close the sandbox around this process, then try to break out of it, and report what held."""

from __future__ import annotations

import os
import signal
import sys

from app.workers.sandbox.spec import Protection, SandboxSpec


def close_sandbox(spec: SandboxSpec) -> Protection:
    """Restrict this process for good; the result is what was seen to hold, not what was asked for.

    A protection that this kernel lacks or refuses is reported missing; the others are still put in force.
    """
    if sys.platform != "linux":
        return Protection(detail=f"none on {sys.platform}")
    from app.workers.sandbox.linux import close_on_linux  # imports modules that only Linux has

    return close_on_linux(spec)


def die_with_parent(parent_pid: int) -> bool:
    """Ask the system to end this process with its parent; False when the parent is gone already.

    Linux ends it when the parent's *thread* that started it ends. Elsewhere the end of the pipe has to do.
    """
    if sys.platform == "win32":
        return True  # behind a venv's python.exe the parent is a launcher, so its id says nothing
    if sys.platform == "linux":
        from app.workers.sandbox.libc import PR_SET_PDEATHSIG, prctl

        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent_pid
