"""Close the sandbox around this process, then try to break out of it, and report what held."""

from __future__ import annotations

import os
import sys

from app.workers.sandbox.spec import Protection, SandboxSpec


def close_sandbox(spec: SandboxSpec) -> Protection:
    """Restrict this process for good; the result is what was seen to hold, not what was asked for."""
    if sys.platform == "linux":
        return Protection(detail="none yet")
    return Protection(detail=f"none on {sys.platform}")


def die_with_parent(parent_pid: int) -> bool:
    """Ask the system to end this process with its parent; False when the parent is gone already."""
    return os.getppid() == parent_pid
