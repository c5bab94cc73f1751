"""The style sheet inside answers: what QTextDocument needs to draw headings, lists, quotes and code calmly."""

from __future__ import annotations

from app.gui.theme import fonts
from app.gui.theme.tokens import Colours, Space, Type


def document_style(colours: Colours) -> str:
    mono = ", ".join(f"'{family}'" for family in fonts.fixed_families())
    return f"""
        body {{ color: {colours.text}; }}
        p, ul, ol {{ margin-top: 0; margin-bottom: {Space.S}px; line-height: 116%; }}
        li {{ margin-bottom: {Space.XS}px; }}
        h1, h2, h3, h4, h5, h6 {{ margin-top: {Space.M}px; margin-bottom: {Space.S}px; font-weight: 600; }}
        h1 {{ font-size: {Type.TITLE}px; }} h2 {{ font-size: {Type.TITLE - 1}px; }}
        h3 {{ font-size: {Type.READING}px; }}
        h4, h5, h6 {{ font-size: {Type.BODY}px; }}
        table.quote, table.code {{ margin-top: {Space.XS}px; margin-bottom: {Space.M}px; }}
        a {{ color: {colours.accent}; }}
        pre, code {{ font-family: {mono}; font-size: {Type.SMALL}px; }}
        table.grid {{ margin-top: {Space.XS}px; margin-bottom: {Space.M}px; }}
        table.grid td, table.grid th {{ border-bottom: 1px solid {colours.line_strong}; text-align: left; }}
        th {{ font-weight: 600; color: {colours.muted}; }}
    """
