"""The library on disk: one encrypted SQLite file that is the only truth, or the same in memory."""

from app.store.library import EncryptedLibrary, in_memory_library, open_library

__all__ = ["EncryptedLibrary", "in_memory_library", "open_library"]
