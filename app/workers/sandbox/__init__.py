"""The sandbox a child closes around itself. Linux: Landlock, seccomp, rlimits. Elsewhere: honestly none."""

from __future__ import annotations

from app.workers.sandbox.close import close_sandbox, die_with_parent
from app.workers.sandbox.spec import Protection, SandboxSpec

__all__ = ["Protection", "SandboxSpec", "close_sandbox", "die_with_parent"]
