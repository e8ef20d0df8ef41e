"""Notebook 01: byte-pair encoding by hand, from counting pairs to a priority queue.

Encoding and decoding are judged by the sentencepiece library itself: a model is made in memory
from the probe's pieces, and its answer is the expected one."""

ORDER = (
    "count_pairs",
    "merge_pair",
    "encode_by_score",
    "decode_pieces",
    "encode_with_heap",
)
