"""Where streamed Markdown may be cut: finished blocks are rendered once, the growing tail stays plain text."""

from __future__ import annotations

_FENCES = ("```", "~~~")


def finished_length(text: str) -> int:
    """How much of `text` ends with a blank line outside of any code fence; 0 when no block is finished."""
    end, position, fence = 0, 0, ""
    for line in text.splitlines(keepends=True):
        position += len(line)
        bare = line.strip()
        if fence:
            if bare.startswith(fence):
                fence = ""
        elif bare.startswith(_FENCES):
            fence = bare[:3]
        elif not bare and line.endswith("\n"):
            end = position
    return end
