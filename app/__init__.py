"""Jingyan 静言: a private multimodal assistant. Nothing in this package runs at import time."""

__version__ = "0.1.0"
