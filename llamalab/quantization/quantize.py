"""quantize_model: the same model with its matrices in blocks. Norms stay float32.

    q8_0 q4_0 q4_1    ggml's blocks, every matrix, the embedding too
    nf4  int8         normal levels; whole numbers with outliers apart
    rtn-4             a min-max grid, rounded to nearest; any of 2 to 8 bits, groups of 64
    gptq-4  awq-4     the same grid, with the layer's inputs looked at: these need a text

Outside ggml's formats the embedding and the head are kept in Q8_0: they are looked up, or have the
last word, and rounding them harder costs more than it saves. Layers are done in order, and each is
calibrated on the outputs of the quantized layers before it, since those will be its inputs.
Left out on purpose: other mixes of formats, and models that are trained while they are rounded.
"""

import copy
import functools
import re
from collections.abc import Callable

import torch
from torch import nn

from llamalab.accounting.compute import count_parameters
from llamalab.model import Block, Llama

from .awq import awq_scales
from .blocks import Blocks
from .calibrate import linears, listen, own_text
from .gptq import gptq
from .grid import round_to_nearest
from .int8 import quantize_int8
from .layout import GROUP_SIZE, outer_kind
from .nf4 import quantize_nf4
from .packed import PackedEmbedding, PackedLinear, TiedHead, put, put_weight
from .q4_0 import quantize_q4_0
from .q4_1 import quantize_q4_1
from .q8_0 import quantize_q8_0

GGML: dict[str, Callable[[torch.Tensor], Blocks]] = {
    "q8_0": quantize_q8_0,
    "q4_0": quantize_q4_0,
    "q4_1": quantize_q4_1,
}
PLAIN: dict[str, Callable[[torch.Tensor], Blocks]] = {
    **GGML,
    "nf4": quantize_nf4,
    "int8": quantize_int8,
}
FORMATS = (*PLAIN, "rtn-4", "gptq-4", "awq-4")


def read_format(name: str) -> tuple[str, int]:
    """A format's name -> its kind and its bits (0 where the kind says them). ValueError for a name
    that is not known."""
    if name in PLAIN:
        return name, 0
    if match := re.fullmatch("(rtn|gptq|awq)-([2-8])", name):
        return match[1], int(match[2])
    raise ValueError(
        f"no format called {name!r}; there are {', '.join(FORMATS)}, the last three with 2 to 8 "
        "bits"
    )


@torch.no_grad()
def quantize_model(
    model: Llama,
    format: str,
    *,
    text: torch.Tensor | None = None,
    group_size: int = GROUP_SIZE,
) -> Llama:
    """A new model in that format; the given one stays as it is.

    text: ids (B, T) that the model reads for "gptq-4" and "awq-4"; None lets it write some itself.
    group_size: of "rtn", "gptq" and "awq". ValueError for a format that is not known, for sizes
    that its blocks do not divide, and for a model that is quantized already.
    """
    kind, bits = read_format(format)
    if any(isinstance(module, PackedLinear) for module in model.modules()):
        raise ValueError("this model is quantized already: quantize the one that it was made from")
    looks = kind in ("gptq", "awq")
    text = own_text(model) if looks and text is None else text
    with torch.device("meta"):
        packed = Llama(model.config, model.parts)
    packed.rope = copy.copy(model.rope)
    outer = GGML[outer_kind(kind)]
    embedding = PackedEmbedding(outer(model.tok_embeddings.weight))
    put(packed, "tok_embeddings", embedding)
    tied = model.config.tie_embeddings
    head = TiedHead(embedding) if tied else PackedLinear(outer(model.output.weight))
    put(packed, "output", head)
    put_weight(packed, "norm.weight", model.norm.weight.detach().float().clone())
    x = embedding(text) if text is not None and looks else torch.empty(0)
    for new, old in zip(packed.layers, model.layers):
        assert isinstance(new, Block)
        for name, weight in old.named_parameters():
            wide = weight.detach().float()
            put_weight(new, name, wide.clone() if wide.ndim == 1 else wide)
        if looks:
            _by_inputs(new, functools.partial(_run, packed, new, x), kind, bits, group_size)
            x = _run(packed, new, x)
            continue
        for path, linear in linears(new).items():
            put(new, path, PackedLinear(_one(linear.weight, kind, bits, group_size)))
    return packed.requires_grad_(False)


def _one(weight: torch.Tensor, kind: str, bits: int, group_size: int) -> Blocks:
    return PLAIN[kind](weight) if bits == 0 else round_to_nearest(weight, bits, group_size)


def _by_inputs(block: Block, run, kind: str, bits: int, group_size: int) -> None:
    """GPTQ or AWQ on the seven matrices of a block."""
    if kind == "awq":
        _scale(block, listen(block, run), bits, group_size)
    heard = listen(block, run)
    for path, linear in linears(block).items():
        if kind == "awq":
            blocks: Blocks = round_to_nearest(linear.weight, bits, group_size)
        else:
            blocks = gptq(linear.weight, heard[path], bits, group_size)
        put(block, path, PackedLinear(blocks))


def _scale(block: Block, heard: dict[str, torch.Tensor], bits: int, group_size: int) -> None:
    """AWQ: weights times s, and 1/s folded into the norm before them, or into w3 before w2. wo
    stays: grouped heads share a value, so nothing before it has one number for each of its inputs.
    """
    attention, ffn = block.attention, block.feed_forward
    for norm, readers, path in (
        (block.attention_norm, (attention.wq, attention.wk, attention.wv), "attention.wq"),
        (block.ffn_norm, (ffn.w1, ffn.w3), "feed_forward.w1"),
    ):
        together = torch.cat([linear.weight for linear in readers])  # (outs, in)
        s = awq_scales(together, heard[path], bits, group_size)  # (in,)
        put_weight(norm, "weight", norm.weight / s)
        for linear in readers:
            put_weight(linear, "weight", linear.weight * s)
    s = awq_scales(ffn.w2.weight, heard["feed_forward.w2"], bits, group_size)  # (hidden,)
    put_weight(ffn.w3, "weight", ffn.w3.weight / s[:, None])
    put_weight(ffn.w2, "weight", ffn.w2.weight * s)


def _run(model: Llama, block: Block, x: torch.Tensor) -> torch.Tensor:
    cos, sin = model.rope.at(torch.arange(x.shape[1], device=x.device))
    return block(x, cos, sin, None, None)


def weight_bytes(model: nn.Module) -> int:
    """Bytes of the weights, packed or not; a tied head counts once."""
    return sum(x.nbytes for x in (*model.parameters(), *model.buffers()))


def bits_per_weight(model: Llama) -> float:
    """Bits per parameter on average, scales and norms included."""
    return 8 * weight_bytes(model) / count_parameters(model.config)["total"]
