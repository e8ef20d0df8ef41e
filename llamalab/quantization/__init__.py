"""Fewer bits: numbers as small whole numbers with a scale, and models that run on them.

quantize_q8_0, quantize_q4_0, quantize_q4_1    ggml's blocks        quantize_nf4     normal levels
quantize_absmax, round_to_nearest, gptq        grids                quantize_int8    LLM.int8()
dequantize(blocks)         back to floats      quantize_model(model, "q4_0")   a model that runs on
awq_scales                 for AWQ             Int8KVCache                     them; its cache
"""

from llamalab.quantization.absmax import Absmax, quantize_absmax
from llamalab.quantization.awq import awq_scales
from llamalab.quantization.blocks import Blocks, dequantize, round_half_away
from llamalab.quantization.gptq import gptq
from llamalab.quantization.grid import Grid, round_to_nearest
from llamalab.quantization.int8 import Int8, int8_linear, quantize_int8
from llamalab.quantization.kv_cache import Int8KVCache
from llamalab.quantization.nf4 import NF4, nf4_levels, quantize_nf4
from llamalab.quantization.packed import PackedEmbedding, PackedLinear, PackedWeight
from llamalab.quantization.q4_0 import Q4_0, quantize_q4_0
from llamalab.quantization.q4_1 import Q4_1, quantize_q4_1
from llamalab.quantization.q8_0 import Q8_0, quantize_q8_0
from llamalab.quantization.quantize import FORMATS, bits_per_weight, quantize_model, weight_bytes

__all__ = ["FORMATS", "NF4", "Absmax", "Blocks", "Grid", "Int8", "Int8KVCache", "PackedEmbedding",
           "PackedLinear", "PackedWeight", "Q4_0", "Q4_1", "Q8_0", "awq_scales", "bits_per_weight",
           "dequantize", "gptq", "int8_linear", "nf4_levels", "quantize_absmax", "quantize_int8",
           "quantize_model", "quantize_nf4", "quantize_q4_0", "quantize_q4_1", "quantize_q8_0",
           "round_half_away", "round_to_nearest", "weight_bytes"]  # fmt: skip
