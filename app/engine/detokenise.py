"""Token bytes to text as they come: whole characters only, constant work per token.

A character of Chinese or an emoji is often spread over several tokens; its first bytes wait here until it is
complete. Bytes that can never become a character turn into U+FFFD as soon as that is certain.
"""

from __future__ import annotations

import codecs


class Detokeniser:
    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, piece: bytes) -> str:
        """The text that `piece` completes; may be empty."""
        return self._decoder.decode(piece)

    def finish(self) -> str:
        """What is left when no more comes: "" or U+FFFD for a character cut in two."""
        return self._decoder.decode(b"", final=True)


class ThoughtFilter:
    """Takes a leading <think>...</think> out of streamed text, also when the markers arrive in parts.

    Only at the beginning of an answer: later the words are part of the text, as in an answer about them.
    `inside`: the prompt itself already opened the thought.
    """

    _OPEN, _CLOSE = "<think>", "</think>"

    def __init__(self, *, inside: bool = False) -> None:
        self._held = ""
        self._state = "inside" if inside else "start"

    def add(self, text: str) -> str:
        """The visible part of `text` and of what was held back before; blanks around a thought are dropped."""
        if self._state == "open":
            return text
        self._held += text
        if self._state == "start":
            self._look_for_opening()
        if self._state == "inside":
            self._look_for_closing()
        if self._state == "after":
            self._held = self._held.lstrip()
            self._state = "open" if self._held else "after"
        if self._state != "open":
            return ""
        shown, self._held = self._held, ""
        return shown

    def finish(self) -> str:
        """What was held back and turned out to be no marker. An unfinished thought stays hidden."""
        shown = self._held if self._state == "start" else ""
        self._held, self._state = "", "open"
        return shown

    def _look_for_opening(self) -> None:
        begun = self._held.lstrip()
        if begun.startswith(self._OPEN):
            self._held, self._state = begun[len(self._OPEN) :], "inside"
        elif not self._OPEN.startswith(begun):
            self._state = "open"

    def _look_for_closing(self) -> None:
        _, found, rest = self._held.partition(self._CLOSE)
        if found:
            self._held, self._state = rest, "after"
        else:
            self._held = self._held[-(len(self._CLOSE) - 1) :]  # enough to find a marker torn in two
