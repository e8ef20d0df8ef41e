"""SentencePiece's model file and its normaliser: what reading the tokenizers of others takes, and
what a reader of the book may skip."""
