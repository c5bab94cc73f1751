"""Search: terms for full text, the English-Chinese dictionary, FAISS vectors, and their fusion.

A cache over the library: everything here can be rebuilt from what the store keeps. The only package that
imports faiss.
"""
