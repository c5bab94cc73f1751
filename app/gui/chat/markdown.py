"""Markdown of an answer to the HTML that QTextDocument understands. Model text is hostile until proven otherwise:

raw HTML is shown as text, pictures become their words, only http(s) and mailto links stay links (and nothing is opened
by itself). `[3]` becomes a link to `cite:3` where 3 is a citation of the answer, and stays as it is elsewhere.
"""

from __future__ import annotations

import html
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from app.gui.chat.highlight import highlight
from app.gui.chat.quoted_tables import quoted_tables
from app.gui.theme.tokens import Colours, Space

CITE_SCHEME = "cite"
_MAX_MARKER_DIGITS = 3
_ALLOWED_LINKS = ("http://", "https://", "mailto:")


@dataclass(frozen=True, slots=True)
class Marks:
    """What to mark in the text: citation numbers (verified or not) and phrases no source supports."""

    verified: frozenset[int] = frozenset()
    unverified: frozenset[int] = frozenset()
    unsupported: tuple[str, ...] = ()


def to_html(text: str, colours: Colours, marks: Marks) -> str:
    markdown = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable(["table", "strikethrough"])
    markdown.validateLink = lambda url: url.lower().startswith(_ALLOWED_LINKS)  # type: ignore[method-assign]
    known = marks.verified | marks.unverified
    markdown.inline.ruler.before("link", "citation", lambda state, silent: _citation(state, silent, known))
    markdown.core.ruler.before("inline", "quoted_tables", quoted_tables)
    renderer = _Renderer(colours, marks)
    tokens = markdown.parse(text)
    return renderer.render(tokens, markdown.options, {})


def _citation(state: StateInline, silent: bool, known: Collection[int]) -> bool:
    start = state.pos
    if state.src[start] != "[":
        return False
    end = state.src.find("]", start + 1, start + 2 + _MAX_MARKER_DIGITS)
    digits = state.src[start + 1 : end]
    if end < 0 or not (digits.isascii() and digits.isdigit()) or int(digits) not in known:
        return False
    if state.src[end + 1 : end + 2] == "(":
        return False  # an ordinary link whose words are a number
    if not silent:
        state.push("citation", "", 0).content = str(int(digits))
    state.pos = end + 1
    return True


class _Renderer(RendererHTML):
    """One method per token type; RendererHTML finds them by name."""

    def __init__(self, colours: Colours, marks: Marks) -> None:
        super().__init__()
        self._colours = colours
        self._marks = marks

    def citation(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        number = int(tokens[idx].content)
        good = number in self._marks.verified
        colour, back = (
            (self._colours.accent, self._colours.accent_soft) if good else (self._colours.warn, self._colours.warn_soft)
        )
        mark = str(number) if good else f"{number}?"
        return (
            f'<a href="{CITE_SCHEME}:{number}" style="text-decoration:none;">'
            f'<span style="color:{colour};background-color:{back};font-size:12px;font-weight:600;">'
            f"&nbsp;{mark}&nbsp;</span></a>"
        )

    def text(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return "".join(self._marked(tokens[idx].content))

    def _marked(self, text: str) -> Iterator[str]:
        """The escaped text, with unsupported phrases on the warning colour."""
        while text:
            found = [
                (place, phrase) for phrase in self._marks.unsupported if phrase and (place := text.find(phrase)) >= 0
            ]
            if not found:
                yield html.escape(text)
                return
            place, phrase = min(found, key=lambda hit: (hit[0], -len(hit[1])))
            yield html.escape(text[:place])
            style = f"background-color:{self._colours.warn_soft};color:{self._colours.warn};"
            yield f'<span style="{style}">{html.escape(phrase)}</span>'
            text = text[place + len(phrase) :]

    def hr(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f'<hr style="background-color:{self._colours.line};">'

    def code_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return self.fence(tokens, idx, options, env)

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return html.escape(tokens[idx].content)

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        token = tokens[idx]
        code = highlight(token.content.rstrip("\n"), token.info.strip().split(" ")[0], dark=self._colours.dark)
        return (
            f'<table class="code" width="100%" cellpadding="10" cellspacing="0" bgcolor="{self._colours.code}">'
            f'<tr><td><pre style="margin:0;">{code}</pre></td></tr></table>'
        )

    def code_inline(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f'<code style="background-color:{self._colours.code};">{html.escape(tokens[idx].content)}</code>'

    def blockquote_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """A bar at the left, which QTextDocument only draws for table cells."""
        return (
            '<table class="quote" width="100%" cellspacing="0" cellpadding="0"><tr>'
            f'<td style="border-left:3px solid {self._colours.accent};padding-left:{int(Space.M)}px;">'
        )

    def blockquote_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return "</td></tr></table>"

    def table_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return '<table class="grid" cellspacing="0" cellpadding="6">'
