"""Llama 2's tokenizer: SentencePiece BPE, trained, loaded, saved and applied in plain Python."""

from .tokenizer import BPETokenizer

__all__ = ["BPETokenizer"]
