"""Notebook 09, exercise: Adapters merged into a copy of the weights."""

import torch
from torch import nn

from llamalab.alignment import lora
from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


def lora_merge(state, alpha):
    merged = {}
    for name, weight in state.items():
        if name.endswith((".lora_A", ".lora_B")):
            continue
        layer = name.removesuffix(".weight")
        if f"{layer}.lora_A" in state:
            A, B = state[f"{layer}.lora_A"].float(), state[f"{layer}.lora_B"].float()
            wide = weight.float() + alpha / len(A) * (B @ A)  # (out, in)
            weight = wide.to(weight.dtype)
        merged[name] = weight
    return merged


def _lora_merge_reference(state, alpha):
    """The package's own `merge`, on a tree of modules that holds these tensors."""
    root = nn.Module()
    for name, tensor in state.items():
        *path, leaf = name.split(".")
        if leaf != "weight":
            continue
        node = root
        for step in path[:-1]:
            if not hasattr(node, step):
                node.add_module(step, nn.Module())
            node = node.get_submodule(step)
        layer, weight = ".".join(path), nn.Parameter(tensor.clone())
        if f"{layer}.lora_A" in state:
            A, B = state[f"{layer}.lora_A"], state[f"{layer}.lora_B"]
            made = lora.LoRALinear(weight, len(A), alpha, generator=seeded(0))
            made.lora_A, made.lora_B = nn.Parameter(A.clone()), nn.Parameter(B.clone())
        else:
            made = nn.Module()
            made.weight = weight
        node.add_module(path[-1], made)
    merged = lora.merge(root) if lora.adapters(root) else root
    return {name: weight.detach() for name, weight in merged.state_dict().items()}


def _state(generator, sizes, *, norm=5, first="lora_A", dtype=torch.float32, thin=None):
    """name -> (out, in, rank), rank 0 for a layer without an adapter; and a norm between them."""

    def draw(*shape, kind=dtype, size=1.0):
        return (size * torch.randn(*shape, generator=generator)).to(kind)

    state = {}
    for number, (name, (outputs, inputs, rank)) in enumerate(sizes.items()):
        parts = {"weight": draw(outputs, inputs)}
        if rank:
            parts["lora_A"] = draw(rank, inputs, kind=thin or dtype)
            parts["lora_B"] = draw(outputs, rank, kind=thin or dtype)
        order = sorted(parts, key=lambda part: part != first)  # what was asked for comes first
        state |= {f"{name}.{part}": parts[part] for part in order}
        if number == 0:
            state["layers.0.attention_norm.weight"] = 1 + draw(norm, size=0.1)
    return state


def _lora_merge_probes():
    """Layers with an adapter and without; ranks that differ; alpha above and below them; A before
    W and behind it; two layers of the same name at other depths; squares whose rank is their size;
    16-bit weights with adapters of 32 and of 16 bits; one adapter of rank 1; none at all; adapters
    on other matrices than attention's, one of them with "weight" in its own name too; the
    docstring's example."""
    g = seeded(95)
    example = {"weight": 1.0, "lora_A": 2.0, "lora_B": 3.0}
    wq, wv, w2 = "layers.{}.attention.wq", "layers.{}.attention.wv", "layers.{}.feed_forward.w2"
    first = {wq.format(0): (6, 5, 2), w2.format(0): (5, 7, 0), wv.format(0): (3, 5, 3)}
    deep = {wq.format(1): (4, 6, 2), wq.format(10): (4, 6, 3), wv.format(1): (2, 6, 2)}
    square = {wq.format(0): (4, 4, 4), wq.format(1): (4, 4, 4)}
    large = {wq.format(0): (24, 16, 4), wv.format(0): (8, 16, 4), w2.format(0): (16, 30, 0)}
    others = {w2.format(0): (4, 7, 2), "output": (5, 4, 3), "mix.weights.3": (3, 4, 2)}
    return [
        (_state(g, first), 8.0),
        (_state(g, deep, first="lora_B", norm=6), 1.0),
        (_state(g, square, norm=4), 6.0),
        (_state(g, large, dtype=torch.bfloat16, thin=torch.float32), 3.0),
        (_state(g, large, dtype=torch.float16, first="lora_B"), 7.0),
        (_state(g, {wq.format(0): (3, 4, 1)}), 2.0),
        (_state(g, {wq.format(0): (3, 4, 0)}), 2.0),
        (_state(g, others), 5.0),
        ({f"w.{part}": torch.tensor([[value]]) for part, value in example.items()}, 0.5),
    ]


def _merge(state, alpha, *, scale=None, product=None, join=None, keep=False):
    """The right answer with a part exchanged: scale(alpha, A, B), product(A, B), join(weight,
    correction); keep: the adapters stay in the dict."""
    scale = scale or (lambda alpha, A, B: alpha / len(A))
    product = product or (lambda A, B: B.float() @ A.float())
    join = join or (lambda weight, correction: (weight.float() + correction).to(weight.dtype))
    merged = {}
    for name, weight in state.items():
        layer, _, leaf = name.rpartition(".")
        if leaf == "weight" and f"{layer}.lora_A" in state:
            A, B = state[f"{layer}.lora_A"], state[f"{layer}.lora_B"]
            merged[name] = join(weight, scale(alpha, A, B) * product(A, B))
        elif leaf == "weight" or keep:
            merged[name] = weight
    return merged


@wrong(
    "Each correction went in twice: your loop meets the layer at its lora_A, and again at its "
    "lora_B. Let one of the names start it, W's own best of all."
)
def merges_at_a_and_at_b(state, alpha):
    twice = lambda weight, correction: (weight.float() + 2 * correction).to(weight.dtype)  # noqa: E731
    return _merge(state, alpha, join=twice)


@wrong(
    "The values are right, but they stand in what you were given: W was changed in place, or the "
    "dict itself. The base is gone, and whoever merges again adds everything a second time. Begin "
    "with an empty dict; `weight = weight + …` makes a new tensor."
)
def writes_into_the_state(state, alpha):
    merged = {}
    for name, weight in state.items():
        layer, _, leaf = name.rpartition(".")
        if leaf != "weight":
            continue
        if f"{layer}.lora_A" in state:
            A, B = state[f"{layer}.lora_A"].float(), state[f"{layer}.lora_B"].float()
            weight.copy_(weight.float() + alpha / len(A) * (B @ A))
        merged[name] = weight
    return merged


@wrong("There is no scale. The correction is alpha / rank times B A: so it was used in training.")
def no_scale(state, alpha):
    return _merge(state, alpha, scale=lambda alpha, A, B: 1.0)


@wrong("You scaled by alpha and forgot the rank. It is alpha / rank, as the layer had it.")
def alpha_alone(state, alpha):
    return _merge(state, alpha, scale=lambda alpha, A, B: alpha)


@wrong("You divided by the rank and forgot alpha. The scale is alpha / rank.")
def rank_alone(state, alpha):
    return _merge(state, alpha, scale=lambda alpha, A, B: 1 / len(A))


@wrong("You scaled by alpha times the rank. It is alpha DIVIDED by the rank.")
def alpha_times_rank(state, alpha):
    return _merge(state, alpha, scale=lambda alpha, A, B: alpha * len(A))


@wrong("The scale is upside down: alpha / rank, not rank / alpha.")
def upside_down(state, alpha):
    return _merge(state, alpha, scale=lambda alpha, A, B: len(A) / alpha)


@wrong(
    "You divided by the root of the rank. That is rsLoRA's scale; these adapters were learned with "
    "alpha / rank, and with another scale they are other adapters."
)
def root_of_the_rank(state, alpha):
    return _merge(state, alpha, scale=lambda alpha, A, B: alpha / len(A) ** 0.5)


@wrong(
    "Your scale is a whole number: `//` throws the rest away, and with alpha below the rank "
    "nothing is left of the correction."
)
def whole_division(state, alpha):
    return _merge(state, alpha, scale=lambda alpha, A, B: alpha // len(A))


@wrong(
    "You read the rank from the wrong axis: A is (rank, in). A.shape[1] is the input size, and the "
    "correction comes out too small."
)
def rank_from_the_inputs(state, alpha):
    return _merge(state, alpha, scale=lambda alpha, A, B: alpha / A.shape[1])


@wrong(
    "You read the rank from the wrong axis: B is (out, rank). B.shape[0] is the output size, and "
    "the correction comes out too small."
)
def rank_from_the_outputs(state, alpha):
    return _merge(state, alpha, scale=lambda alpha, A, B: alpha / len(B))


@wrong(
    "You took the rank of the first adapter for all of them. Each has its own, and it stands in "
    "the shape of its A."
)
def one_rank_for_all(state, alpha):
    ranks = [len(tensor) for name, tensor in state.items() if name.endswith(".lora_A")]
    return _merge(state, alpha, scale=lambda alpha, A, B: alpha / ranks[0])


@wrong(
    "You scaled W as well. Only the correction has a scale: with B at zero the merged weight must "
    "be W itself."
)
def scales_both(state, alpha):
    merged = _merge(state, alpha, scale=lambda alpha, A, B: 1.0, join=lambda w, c: w.float() + c)
    for name, weight in merged.items():
        A = state.get(name.removesuffix("weight") + "lora_A")
        wide = weight if A is None else alpha / len(A) * weight
        merged[name] = wide.to(state[name].dtype)
    return merged


@wrong("You took the correction away. Training added it, so merging adds it.")
def subtracts(state, alpha):
    return _merge(state, alpha, scale=lambda alpha, A, B: -alpha / len(A))


@wrong("The correction took W's place. It is added to W, which is what it was a correction of.")
def forgets_the_weight(state, alpha):
    return _merge(state, alpha, join=lambda weight, correction: correction.to(weight.dtype))


@wrong(
    "A B is the other way round: (rank, in) times (out, rank) does not fit, or is a small square. "
    "B A is (out, in), as W is: B stands on the left."
)
def a_before_b(state, alpha):
    return _merge(state, alpha, product=lambda A, B: A.float() @ B.float())


@wrong(
    "Your correction lies on its side: A^T B^T is the transpose of B A. x A^T B^T is right for a "
    "vector behind which the matrices stand; W itself is (out, in), and so is B A."
)
def correction_on_its_side(state, alpha):
    return _merge(state, alpha, product=lambda A, B: A.float().T @ B.float().T)


@wrong("You multiplied number by number, `*`. B A is a product of matrices, `@`.")
def number_by_number(state, alpha):
    return _merge(state, alpha, product=lambda A, B: B.float() * A.float())


@wrong(
    "The adapters are still in the dict. A plain model does not know their names, and one that "
    "does would add them once more."
)
def keeps_the_adapters(state, alpha):
    return _merge(state, alpha, keep=True)


@wrong(
    "What has no adapter is missing: norms, and the matrices that were only frozen. The result is "
    "to be a whole model."
)
def drops_the_rest(state, alpha):
    merged = _merge(state, alpha)
    return {n: w for n, w in merged.items() if n.removesuffix("weight") + "lora_A" in state}


@wrong("Only the first adapter was merged. Is there a `return` or a `break` inside the loop?")
def merges_the_first_alone(state, alpha):
    first = next((n for n in state if n.endswith(".lora_A")), "").removesuffix(".lora_A")
    kept = {n: t for n, t in state.items() if n.endswith(".weight") or n.startswith(f"{first}.")}
    return _merge(kept, alpha)


@wrong("Nothing was merged. You took the adapters out, and with them all that was learned.")
def throws_the_adapters_away(state, alpha):
    return {name: weight for name, weight in state.items() if name.endswith(".weight")}


@wrong(
    "Every layer got the adapter of the first one of its kind: you looked for `wq`, and layer 0's "
    "is found first. The whole name up to .weight says whose it is."
)
def by_the_last_name(state, alpha):
    found: dict = {}
    for name, tensor in state.items():
        layer, _, leaf = name.rpartition(".")
        if leaf != "weight":
            found.setdefault((layer.rpartition(".")[2], leaf), tensor)
    other = {}
    for name, tensor in state.items():
        layer, _, leaf = name.rpartition(".")
        other[name] = tensor if leaf == "weight" else found[layer.rpartition(".")[2], leaf]
    return _merge(other, alpha)


@wrong(
    "The merged matrices came out in float32. A model of 16 bits holds 16-bit weights: give each "
    "the dtype that its W has."
)
def comes_out_in_float32(state, alpha):
    return _merge(state, alpha, join=lambda weight, correction: weight.float() + correction)


@wrong("Everything came out in float32, the norms too. Each weight keeps the dtype that it has.")
def all_in_float32(state, alpha):
    return {name: weight.float() for name, weight in _merge(state, alpha).items()}


@wrong(
    "You merged in W's dtype: in 16 bits B A is rounded, then its multiple, then the sum. Make "
    "product and sum in float32 and round once, at the end."
)
def merges_in_16_bits(state, alpha):
    return _merge(
        state, alpha, product=lambda A, B: B @ A, join=lambda weight, c: weight + c.to(weight.dtype)
    )  # fmt: skip


@wrong(
    "You rounded the correction to W's dtype before you added it: that is rounded twice. Add in "
    "float32, and round the sum."
)
def rounds_the_correction(state, alpha):
    return _merge(state, alpha, join=lambda weight, c: weight + c.to(weight.dtype))


@wrong(
    "The names have lost their `.weight`. The result is a state dict: `load_state_dict` looks for "
    "the names that the plain model has."
)
def loses_the_suffix(state, alpha):
    return {n.removesuffix(".weight"): w for n, w in _merge(state, alpha).items()}


@wrong("You gave back the merged matrices in a list. What is asked for is a dict, by name.")
def gives_a_list(state, alpha):
    return list(_merge(state, alpha).values())


@wrong("You gave back the dict that you were given, without a change.")
def gives_back_the_state(state, alpha):
    return state


BY_PLACE = (
    "You merged only where you expected an adapter, on attention's matrices or in the layers. Any "
    "matrix may have one: what tells it is that NAME.lora_A is there, whatever NAME is."
)


@wrong(BY_PLACE)
def merges_in_the_layers_alone(state, alpha):
    merged = _merge(state, alpha)
    return {n: w if n.startswith("layers.") else state[n] for n, w in merged.items()}


@wrong(BY_PLACE)
def merges_attention_alone(state, alpha):
    merged = _merge(state, alpha)
    return {n: w if ".attention." in n else state[n] for n, w in merged.items()}


@wrong(
    'An adapter was not found where its layer\'s own name holds "weight" too: `replace` changes '
    "each of them, and `split` cuts at the first. Only the end of the name is meant: "
    "`removesuffix`."
)
def replaces_every_weight(state, alpha):
    merged = _merge(state, alpha)
    return {n: w if n.count("weight") == 1 else state[n] for n, w in merged.items()}


IN_16_BITS = (
    "You multiplied B and A in their own 16 bits and widened afterwards. What was rounded by then "
    "stays rounded: make both float32 first, then multiply."
)


@wrong(IN_16_BITS)
def multiplies_in_16_bits(state, alpha):
    return _merge(state, alpha, product=lambda A, B: (B @ A.to(B.dtype)).float())


@wrong(IN_16_BITS)
def multiplies_and_scales_in_16_bits(state, alpha):
    return _merge(state, alpha, product=lambda A, B: B @ A.to(B.dtype))


@wrong(
    "Everything came out in the dtype of the state's first tensor. Dtypes may differ: each weight "
    "keeps its own."
)
def all_in_the_first_dtype(state, alpha):
    first = next(iter(state.values())).dtype
    wide = _merge(state, alpha, join=lambda weight, correction: weight.float() + correction)
    return {name: weight.to(first) for name, weight in wide.items()}


EXERCISE = Exercise(
    name="lora_merge",
    title="Merging adapters into a copy",
    points=2,
    minutes=15,
    answer=lora_merge,
    reference=_lora_merge_reference,
    probes=_lora_merge_probes,
    misconceptions=wrong.all,
    hints=(
        "Walk through the names that end in .weight. Some of them have two companions, of the "
        "same name up to the last dot; all others are passed on as they are.",
        "B A has W's shape, (out, in). The rank is A's first size, layer by layer. Which tensors "
        "may you write to? None of those that you were given.",
        "Bring W, A and B to float32, multiply, scale by alpha over the rank, add, and go back to "
        "W's own dtype once, at the very end. The names of A and B do not come along.",
    ),
)
