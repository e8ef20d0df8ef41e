"""A checkpoint quantized while it is read: one weight, one strip of rows at a time.

Never there at once: the weights in floats. What is: the blocks so far, one weight as it is stored,
and a strip of it in float32. The plan is asked first, and it is exact (`planned_bytes`).
"""

import torch

from llamalab.accounting.compute import count_parameters
from llamalab.accounting.memory import refuse_if_too_large
from llamalab.model import Llama, Parts
from llamalab.quantization import Blocks, PackedEmbedding, PackedLinear, round_to_nearest
from llamalab.quantization.blocks import STRIP
from llamalab.quantization.layout import GROUP_SIZE, outer_kind, planned_bytes
from llamalab.quantization.packed import TiedHead, put, put_weight
from llamalab.quantization.quantize import PLAIN, read_format

from . import names
from .build import StoredModel, check_finite, check_shapes, check_tie

STORED = "stored"  # as the file has it


def holds_blocks(held: StoredModel) -> bool:
    """Whether a matrix of a layer is stored in blocks."""
    name = "layers.0.attention.wq.weight"
    return held.packed is not None and name in held.shapes and held.packed(name) is not None


def build_packed(held: StoredModel, quantize: str, *, parts: Parts | None) -> Llama:
    """The model that `held` describes, in blocks. quantize: a format, or "stored" for a file that
    holds blocks. ValueError for a format that needs a text, for sizes that blocks do not divide and
    for what does not fit the config; MemoryError, before anything is read, if there is no room."""
    kind, bits = ("", 0) if quantize == STORED else read_format(quantize)
    if kind in ("gptq", "awq"):
        raise ValueError(
            f"{quantize} looks at what the layers are given: load the model, then quantize_model"
        )
    config = held.config
    check_shapes(held)
    total = count_parameters(config)["total"]
    if kind:
        refuse_if_too_large(config, planned_bytes(config, kind, bits) / total)
    with torch.device("meta"):
        model = Llama(config, parts)
    for name, shape in names.shapes(config):
        if len(shape) == 1:
            weight = held.read(name).float().clone()
            check_finite(weight, name, held.where)
            put_weight(model, name, weight)
            continue
        blocks = held.packed(name) if held.packed else None
        if blocks is None and not kind:
            raise ValueError(f"{held.where} holds {name} in floats: name a format for it")
        ends = name in ("tok_embeddings.weight", "output.weight")
        wanted = outer_kind(kind) if ends and kind else kind
        if blocks is None or (kind and type(blocks).__name__.lower() != wanted):
            blocks = _quantized(held.read(name), wanted, bits, name, held)
        else:
            _check_blocks(blocks, name, held)
        module = PackedEmbedding(blocks) if name.startswith("tok") else PackedLinear(blocks)
        put(model, name.removesuffix(".weight"), module)
    if config.tie_embeddings:
        embedding = model.get_submodule("tok_embeddings")
        assert isinstance(embedding, PackedEmbedding)
        check_tie(held)
        put(model, "output", TiedHead(embedding))
    return model.requires_grad_(False)


def _quantized(weight: torch.Tensor, kind: str, bits: int, name: str, held: StoredModel) -> Blocks:
    def one(rows: torch.Tensor) -> Blocks:
        check_finite(rows, name, held.where)
        return PLAIN[kind](rows) if kind in PLAIN else round_to_nearest(rows, bits, GROUP_SIZE)

    step = max(1, STRIP // weight.shape[1])
    if kind == "nf4" or len(weight) <= step:  # NF4's second scales go across rows
        return one(weight)
    strips = [one(weight[start : start + step]) for start in range(0, len(weight), step)]
    parts = [strip.tensors() for strip in strips]
    joined = {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
    return type(strips[0])(**{**vars(strips[0]), **joined, "shape": tuple(weight.shape)})


def _check_blocks(blocks: Blocks, name: str, held: StoredModel) -> None:
    step = max(1, STRIP // blocks.shape[1])
    for start in range(0, blocks.shape[0], step):
        check_finite(blocks.numbers(slice(start, start + step)), name, held.where)
