"""Commands on the library: add, list, search, remove."""

from __future__ import annotations

from pathlib import Path

import click

from app.cli.output import ExitCode, note, print_json
from app.cli.session import json_option, session
from app.cli.views import document_json, document_line, passage_json
from app.core.values import Document, DocumentId, DocumentState

SNIPPET_CHARS = 160


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
def add(paths: tuple[Path, ...], as_json: bool) -> None:
    """Read files into the library and keep them there."""
    with session() as jingyan:
        documents = jingyan.add_and_wait(paths)
    _print_documents(documents, as_json)
    if any(d.state is DocumentState.REFUSED for d in documents):
        raise SystemExit(ExitCode.SOME_REFUSED)


@click.command("list")
@json_option
def list_documents(as_json: bool) -> None:
    """Show every document of the library and how much of it could be read."""
    with session() as jingyan:
        documents = jingyan.library.documents()
    if not documents and not as_json:
        note("The library is empty. Add files with: jingyan add FILE...")
    _print_documents(documents, as_json)


@click.command()
@click.argument("query")
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 100))
@json_option
def search(query: str, limit: int, as_json: bool) -> None:
    """Find passages in the library."""
    with session() as jingyan:
        jingyan.library.wait_indexed()
        passages = jingyan.library.search(query, limit)
    if as_json:
        print_json([passage_json(p) for p in passages])
    for passage in () if as_json else passages:
        snippet = " ".join(passage.chunk.text.split())[:SNIPPET_CHARS]
        click.echo(f"{passage.score:.2f}  {passage.document_name}, p. {passage.page_label}\n      {snippet}")
    if not passages:
        raise SystemExit(ExitCode.NOTHING_FOUND)


@click.command()
@click.argument("document_ids", nargs=-1, required=True, type=int)
def remove(document_ids: tuple[int, ...]) -> None:
    """Take documents out of the library (by the number that `list` shows). The files themselves stay."""
    with session() as jingyan:
        for document_id in document_ids:
            jingyan.library.remove(DocumentId(document_id))


def _print_documents(documents: tuple[Document, ...], as_json: bool) -> None:
    if as_json:
        print_json([document_json(d) for d in documents])
        return
    for document in documents:
        click.echo(document_line(document))
