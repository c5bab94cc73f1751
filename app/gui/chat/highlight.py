"""Code in colours, as HTML with inline styles (QTextDocument knows no classes). Unknown languages stay plain."""

from __future__ import annotations

import html

MAX_HIGHLIGHT_CHARS = 40_000  # beyond it a lexer may take longer than a frame; the code is then shown without colours


def highlight(code: str, language: str, *, dark: bool) -> str:
    if not language or len(code) > MAX_HIGHLIGHT_CHARS:
        return html.escape(code)
    # Only answers with code need it: 30 ms kept off everything else. Pygments ships no types.
    from pygments import highlight as colour  # type: ignore[import-untyped]
    from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
    from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
    from pygments.util import ClassNotFound  # type: ignore[import-untyped]

    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        return html.escape(code)
    style = "github-dark" if dark else "friendly"
    formatted: str = colour(code, lexer, HtmlFormatter(noclasses=True, nowrap=True, style=style))
    return formatted.rstrip("\n")
