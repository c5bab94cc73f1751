"""The language model, inside the engine child: check a GGUF, load it with llama.cpp, render its template, decode."""
