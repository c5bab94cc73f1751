"""Tables quoted from documents: lines of cells with " | " between them become a table one can read.

The reader writes table rows that way; Markdown's own tables (with a line of dashes) are not touched.
"""

from __future__ import annotations

from collections.abc import Iterator

from markdown_it.rules_core import StateCore
from markdown_it.token import Token

_BETWEEN = " | "


def quoted_tables(state: StateCore) -> None:
    """A rule for markdown-it's core chain, before "inline"."""
    made: list[Token] = []
    tokens = iter(state.tokens)
    for token in tokens:
        made.append(token)
        if token.type != "paragraph_open":
            continue
        inline = next(tokens)
        if rows := _rows(inline.content):
            made.pop()
            next(tokens)  # paragraph_close
            made += _table(rows)
        else:
            made.append(inline)
    state.tokens = made


def _rows(text: str) -> list[list[str]]:
    """The cells, when there are at least two lines and all have the same number of cells, more than one."""
    rows = [line.rstrip(" \\").split(_BETWEEN) for line in text.split("\n")]
    widths = {len(row) for row in rows}
    return rows if len(rows) > 1 and len(widths) == 1 and widths.pop() > 1 else []


def _table(rows: list[list[str]]) -> Iterator[Token]:
    yield Token("table_open", "table", 1, block=True)
    for row in rows:
        yield Token("tr_open", "tr", 1, block=True)
        for cell in row:
            yield Token("td_open", "td", 1, block=True)
            yield Token("inline", "", 0, content=cell.strip(), children=[], block=True)
            yield Token("td_close", "td", -1, block=True)
        yield Token("tr_close", "tr", -1, block=True)
    yield Token("table_close", "table", -1, block=True)
