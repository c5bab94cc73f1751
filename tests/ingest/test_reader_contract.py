"""The reader's contract, on the fake that other tests use and on the real sandboxed child."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from app.workers.ingest_client import ReaderClient
from tests.contract.reader_contract import ReaderContract
from tests.fakes.reader import FakeReader
from tests.samples import pdf_bytes, pdf_with_broken_page


class TestFakeReader(ReaderContract):
    @pytest.fixture
    def reader(self) -> FakeReader:
        return FakeReader()

    def document(self, pages: Sequence[str]) -> bytes:
        return "\f".join(pages).encode()

    def with_broken_page(self, pages: int, broken_page: int) -> bytes:
        return "\f".join("!broken" if n == broken_page else f"Page {n}" for n in range(1, pages + 1)).encode()

    def locked(self, text: str, password: str) -> bytes:
        assert password == "secret"  # the only one the fake knows
        return f"!locked {text}".encode()


class TestSandboxedReader(ReaderContract):
    @pytest.fixture(scope="class")
    @classmethod
    def reader(cls) -> Iterator[ReaderClient]:
        client = ReaderClient()
        yield client
        client.close()

    def document(self, pages: Sequence[str]) -> bytes:
        return pdf_bytes(pages)

    def with_broken_page(self, pages: int, broken_page: int) -> bytes:
        return pdf_with_broken_page(pages, broken_page)

    def locked(self, text: str, password: str) -> bytes:
        return pdf_bytes([text], password=password)
