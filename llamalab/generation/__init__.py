"""Text out of a model: one token after another, many rows at once, beams, guesses checked.

generate        a stream of ids: greedy or drawn        generate_batch  many prompts at once
beam_search     the likeliest whole continuations       speculate       a draft model guesses
stream_text     ids to text, as they come               FusedDecoder    the fast single step
Chat            a conversation, turn after turn
"""

from llamalab.generation.batch import generate_batch
from llamalab.generation.beam import Beam, beam_search
from llamalab.generation.chat import Chat
from llamalab.generation.fused import FusedDecoder
from llamalab.generation.single import generate, generate_samples
from llamalab.generation.speculative import Speculation, accept_or_resample, speculate
from llamalab.generation.text import stream_text

__all__ = ["Beam", "Chat", "FusedDecoder", "Speculation", "accept_or_resample", "beam_search",
           "generate", "generate_batch", "generate_samples", "speculate",
           "stream_text"]  # fmt: skip
