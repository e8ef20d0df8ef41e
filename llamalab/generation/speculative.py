"""Speculative decoding: a small draft model guesses a few tokens, the target checks all at once.

    accept the guess x with probability min(1, p(x) / q(x)),
    else draw from max(p - q, 0), made to add up to 1

p is the target's distribution and q the draft's. What comes out is distributed as p, exactly,
whatever the draft is: a token that q likes too much is refused as often as it is over-proposed,
and what p likes more than q is made up for by the second draw. A good draft only saves time. If
all guesses are accepted, the target's pass has one more distribution to give a token from.
Source: Leviathan et al. 2023, Algorithm 1; Chen et al. 2023.
Left out on purpose: batches, repetition penalty (it would change p with every guess), and the
FusedDecoder, since a pass checks many tokens.
"""

from collections.abc import Generator, Iterable, Iterator

import torch

from llamalab import sampling
from llamalab.generation.choice import Choice
from llamalab.generation.prompt import check_room, read_prompt
from llamalab.generation.steps import new_cache
from llamalab.model import Llama


def accept_or_resample(
    p: torch.Tensor, q: torch.Tensor, guess: int, generator: torch.Generator | None = None
) -> tuple[int, bool]:
    """p, q (V,) probabilities, `guess` an id drawn from q -> (id, was the guess accepted).
    ValueError for distributions of two shapes, and for a guess that q cannot have made."""
    if p.shape != q.shape or p.ndim != 1:
        raise ValueError(f"p and q must both be (V,); they are {tuple(p.shape)}, {tuple(q.shape)}")
    if not q[guess] > 0:
        raise ValueError(f"the draft cannot have guessed {guess}: its probability is {q[guess]}")
    chance = torch.rand((), generator=generator, device=p.device)  # in [0, 1)
    if chance * q[guess] < p[guess]:
        return guess, True
    left = (p - q).clamp(min=0)
    if not left.sum() > 0:
        left = p  # p and q differ by rounding alone
    return int(sampling.draw(left, generator)), False


class Speculation:
    """The stream of ids, which also counts: how many guesses were proposed and how many accepted,
    and in how many passes of the target."""

    def __init__(self, target: Llama, draft: Llama, prompt: list[int], choice: Choice, **limits):
        self.proposed = self.accepted = self.passes = 0
        self._target, self._draft, self._text, self._choice = target, draft, list(prompt), choice
        self._ids = self._stream(**limits)

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        return next(self._ids)

    def close(self) -> None:
        """End the stream here."""
        self._ids.close()

    @torch.inference_mode()
    def _stream(self, *, max_new_tokens, guesses, stop_ids) -> Generator[int, None, None]:
        end = len(self._text) + max_new_tokens
        target_cache, draft_cache = (
            new_cache(model, 1, end) for model in (self._target, self._draft)
        )
        while len(self._text) < end:
            n = min(guesses, end - len(self._text) - 1)  # one more comes from the target itself
            guessed, q = self._guess(draft_cache, n)
            p = self._distributions(self._target, target_cache, guessed, n + 1)  # (n + 1, V)
            self.passes += 1
            for token in self._check(guessed, q, p):
                if token in stop_ids:
                    return
                self._text.append(token)
                yield token
            # The newest token is in no cache yet, and refused guesses must not stay in any.
            for cache in (target_cache, draft_cache):
                cache.rewind(min(cache.length, len(self._text) - 1))

    def _guess(self, cache, n: int) -> tuple[list[int], list[torch.Tensor]]:
        """n ids, and the distributions (V,) that they were drawn from."""
        guessed: list[int] = []
        q: list[torch.Tensor] = []
        for _ in range(n):
            q.append(self._distributions(self._draft, cache, guessed, 1)[0])
            guessed.append(int(sampling.draw(q[-1], self._choice.generator)))
        return guessed, q

    def _check(self, guessed, q, p) -> Iterator[int]:
        """The accepted guesses, and one token more."""
        for guess, its_q, its_p in zip(guessed, q, p):
            self.proposed += 1
            token, accepted = accept_or_resample(its_p, its_q, guess, self._choice.generator)
            self.accepted += accepted
            yield token
            if not accepted:
                return
        yield int(sampling.draw(p[-1], self._choice.generator))

    def _distributions(self, model, cache, guessed: list[int], last: int) -> torch.Tensor:
        """What follows each of the `last` newest tokens of text and guesses: (last, V). The model
        is given what its cache has not seen."""
        new = (self._text + guessed)[cache.length :]
        logits = model(torch.tensor([new], device=model.norm.weight.device), cache)  # (1, T, V)
        return self._choice.probabilities(logits[0, -last:])


def speculate(
    model: Llama,
    draft: Llama,
    ids: Iterable[int] | torch.Tensor,
    max_new_tokens: int,
    *,
    guesses: int = 4,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    stop_ids: Iterable[int] = (),
    generator: torch.Generator | None = None,
) -> Speculation:
    """`generate` with a draft model that guesses ahead: ids from the same distribution; greedy,
    the same ids. The draft may differ in all sizes but the vocabulary, whose pieces must be the
    same. Options and errors as in `generate`. ValueError for two vocabularies."""
    if model.config.vocab_size != draft.config.vocab_size:
        raise ValueError(
            f"model and draft must share one tokenizer; their vocabularies hold "
            f"{model.config.vocab_size} and {draft.config.vocab_size} ids"
        )
    if not isinstance(guesses, int) or guesses < 1:
        raise ValueError(f"guesses={guesses!r} must be a whole number of at least 1")
    prompt = read_prompt(model, ids)
    check_room(model, prompt, max_new_tokens)
    check_room(draft, prompt, max_new_tokens, "for the draft, the prompt")
    choice = Choice(temperature=temperature, top_k=top_k, top_p=top_p, generator=generator)
    return Speculation(
        model,
        draft,
        prompt,
        choice,
        max_new_tokens=max_new_tokens,
        guesses=guesses,
        stop_ids=frozenset(stop_ids),
    )
