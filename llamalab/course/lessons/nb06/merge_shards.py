"""Notebook 06, exercise 4: A checkpoint in shards."""

import torch

from llamalab.config import LlamaConfig
from llamalab.course.engine import Exercise, WrongAnswers
from llamalab.model import Llama

wrong = WrongAnswers()


def merge_shards(shards):
    merged = {}
    for name, first in shards[0].items():
        pieces = [shard[name] for shard in shards]
        if name == "rope.freqs":
            continue
        if first.ndim == 1:
            merged[name] = first
        elif name.endswith(("wo.weight", "w2.weight", "tok_embeddings.weight")):
            merged[name] = torch.cat(pieces, dim=1)
        else:
            merged[name] = torch.cat(pieces, dim=0)
    return merged


def _merge_reference(shards):
    """Asks the package's model for each weight's whole shape; that says along which axis."""
    n, first = len(shards), shards[0]
    dim = first["norm.weight"].numel()
    kv_dim = n * first["layers.0.attention.wk.weight"].shape[0]
    config = LlamaConfig(
        dim=dim,
        n_layers=sum(name.endswith("attention_norm.weight") for name in first),
        n_heads=dim // 2,
        n_kv_heads=kv_dim // 2,
        hidden_dim=n * first["layers.0.feed_forward.w1.weight"].shape[0],
        vocab_size=n * first["output.weight"].shape[0],
        max_seq_len=2,
    )
    with torch.device("meta"):
        whole = Llama(config).state_dict()
    return {name: _put_together(weight.shape, name, shards) for name, weight in whole.items()}


def _put_together(shape, name, shards):
    full = torch.empty(shape, dtype=shards[0][name].dtype)
    axis = next((a for a, s in enumerate(shape) if s != shards[0][name].shape[a]), None)
    if axis is None:
        return shards[0][name].clone()
    width = shape[axis] // len(shards)
    for i, shard in enumerate(shards):
        full.narrow(axis, i * width, width).copy_(shard[name])
    return full


def _shards(seed, n, dim, kv_dim, hidden, vocab, layers, dtype=torch.float32):
    """A checkpoint of random numbers in n shards, as Meta's files are cut."""
    g = torch.Generator().manual_seed(seed)

    def random(*shape):
        return torch.randn(shape, generator=g).to(dtype)

    norms = {f"layers.{i}.{kind}_norm.weight": random(dim)
             for i in range(layers) for kind in ("attention", "ffn")}  # fmt: skip
    norms |= {"norm.weight": random(dim), "rope.freqs": random(2)}
    shards = []
    for _ in range(n):
        shard = {"tok_embeddings.weight": random(vocab, dim // n)}
        for i in range(layers):
            a, f = f"layers.{i}.attention", f"layers.{i}.feed_forward"
            shard[f"{a}.wq.weight"] = random(dim // n, dim)
            shard[f"{a}.wk.weight"] = random(kv_dim // n, dim)
            shard[f"{a}.wv.weight"] = random(kv_dim // n, dim)
            shard[f"{a}.wo.weight"] = random(dim, dim // n)
            shard[f"{f}.w1.weight"] = random(hidden // n, dim)
            shard[f"{f}.w2.weight"] = random(dim, hidden // n)
            shard[f"{f}.w3.weight"] = random(hidden // n, dim)
        shard["output.weight"] = random(vocab // n, dim)
        shards.append(shard | {name: weight.clone() for name, weight in norms.items()})
    return shards


def _merge_probes():
    """Two shards as of 13B, four, and one as of 7B, in float16; two without rope.freqs, whose wo
    is all zeros still, so that its pieces are equal."""
    without = _shards(64, 2, dim=12, kv_dim=4, hidden=14, vocab=6, layers=1, dtype=torch.bfloat16)
    for shard in without:
        del shard["rope.freqs"]
        shard["layers.0.attention.wo.weight"].zero_()
    return [
        (_shards(61, 2, dim=8, kv_dim=4, hidden=12, vocab=20, layers=2),),
        (_shards(62, 4, dim=16, kv_dim=8, hidden=20, vocab=28, layers=1),),
        (_shards(63, 1, dim=4, kv_dim=2, hidden=6, vocab=10, layers=1, dtype=torch.float16),),
        (without,),
    ]


WIDE = ("wo.weight", "w2.weight", "tok_embeddings.weight")


def _merged(shards, *, wide=WIDE, norms="first", skip=("rope.freqs",)):
    """The merge with parts of the rule replaced."""
    merged = {}
    for name, first in shards[0].items():
        pieces = [shard[name] for shard in shards]
        if name in skip:
            continue
        if first.ndim == 1:
            merged[name] = torch.cat(pieces) if norms == "joined" else first
            if norms == "added":
                merged[name] = torch.stack(pieces).sum(0)
        else:
            merged[name] = torch.cat(pieces, dim=int(name.endswith(wide)))
    return merged


@wrong(
    "You joined everything along axis 0. That fits the matrices whose outputs were dealt out; "
    "wo and w2 had their inputs dealt out, and the embedding its columns."
)
def all_along_axis_0(shards):
    return _merged(shards, wide=())


@wrong(
    "You joined every matrix along axis 1. wq, wk, wv, w1, w3 and the head were cut by their "
    "outputs, which are the rows of a weight stored as (out, in)."
)
def all_along_axis_1(shards):
    return _merged(shards, wide=("weight",))


@wrong(
    "You joined the embedding by rows, one part of the vocabulary a shard. Llama 3's files are "
    "cut so; Llama 2's hold every token in every shard, with a slice of its columns."
)
def embedding_by_rows(shards):
    return _merged(shards, wide=("wo.weight", "w2.weight"))


@wrong(
    "You joined wo along axis 0. Each shard computes some of the heads, and wo reads the heads:"
    " its columns are what was cut."
)
def wo_along_axis_0(shards):
    return _merged(shards, wide=("w2.weight", "tok_embeddings.weight"))


@wrong(
    "You joined w2 along axis 0. It reads the hidden layer, of which each shard has a part: its"
    " columns are what was cut."
)
def w2_along_axis_0(shards):
    return _merged(shards, wide=("wo.weight", "tok_embeddings.weight"))


@wrong(
    "You took w3 for the matrix that comes down. w1 and w3 both go up, so their rows were cut; "
    "w2 comes down, and its columns were."
)
def w3_for_w2(shards):
    return _merged(shards, wide=("wo.weight", "w3.weight", "tok_embeddings.weight"))


@wrong(
    "You treated the head like the embedding. They have one shape but not one cut: the head's "
    "rows, its outputs, were dealt out, the embedding's columns were."
)
def head_as_the_embedding(shards):
    return _merged(shards, wide=(*WIDE, "output.weight"))


@wrong(
    "You joined the norms end to end. Every shard holds a norm whole, since every one needs it "
    "whole: take one copy."
)
def joins_the_norms(shards):
    return _merged(shards, norms="joined")


@wrong(
    "You added the copies of a norm up. They are copies, not parts: two shards would make every"
    " gain twice as large."
)
def adds_the_norms(shards):
    return _merged(shards, norms="added")


@wrong(
    "You kept rope.freqs. It is no weight but a table that the model computes from theta; a "
    "model that is asked to load it finds no place for it."
)
def keeps_rope_freqs(shards):
    return _merged(shards, skip=())


@wrong(
    "You took rope.freqs out of the shard that you were given. Whoever called may still need "
    "it: leave it out of your own dict instead."
)
def throws_out_of_the_first_file(shards):
    shards[0].pop("rope.freqs", None)
    return _merged(shards)


@wrong(
    "You joined them from the last to the first. Every shape is right, and every token's vector"
    " begins with its second half: shards go in the order of their numbers."
)
def last_shard_first(shards):
    return _merged(shards[::-1])


@wrong(
    "You returned the first shard. With one file that is the model, with two it is a half of "
    "every matrix."
)
def first_shard_only(shards):
    return _merged(shards[:1])


@wrong(
    "Each shard has the same names, so a later one overwrote the earlier ones: you have the "
    "last shard, and not the model."
)
def later_shards_overwrite(shards):
    merged = {}
    for shard in shards:
        merged.update(shard)
    merged.pop("rope.freqs", None)
    return merged


@wrong(
    "You added the shards up. Their *outputs* are added, after wo and w2, when the model runs "
    "on several devices; the weights are pieces to be laid side by side."
)
def adds_the_shards(shards):
    return {
        name: first if first.ndim == 1 else torch.stack([s[name] for s in shards]).sum(0)
        for name, first in shards[0].items()
        if name != "rope.freqs"
    }


@wrong(
    "You took one row from each shard in turn. A shard holds a block of rows that belong "
    "together, whole heads of wq: lay block behind block."
)
def deals_the_rows(shards):
    merged = _merged(shards)
    for name, weight in merged.items():
        if weight.ndim == 2 and not name.endswith(WIDE):
            pieces = torch.stack([shard[name] for shard in shards], dim=1)
            merged[name] = pieces.flatten(0, 1)
    return merged


def _merged_by(rule, shards):
    """The merge by a rule of its own: rule(name, pieces) gives the whole weight, or None."""
    merged = {}
    for name in shards[0]:
        if name != "rope.freqs":
            whole = rule(name, [shard[name] for shard in shards])
            if whole is not None:
                merged[name] = whole
    return merged


def _rightly(name, pieces):
    if pieces[0].ndim == 1:
        return pieces[0]
    return torch.cat(pieces, dim=int(name.endswith(WIDE)))


@wrong(
    "Yours stops where there is no rope.freqs: a shard *may* hold it. Leave it out if it is there "
    '(`pop("rope.freqs", None)`, or an `if`), and do without if it is not.'
)
def needs_rope_freqs(shards):
    merged = _merged(shards, skip=())
    del merged["rope.freqs"]
    return merged


@wrong(
    "You took pieces that are equal for copies. Two pieces of a matrix can be equal, when both are "
    "still zero, say, and have to be joined all the same. Copies are known by having one axis."
)
def equal_pieces_are_copies(shards):
    def rule(name, pieces):
        if all(torch.equal(pieces[0], piece) for piece in pieces):
            return pieces[0]
        return _rightly(name, pieces)

    return _merged_by(rule, shards)


@wrong(
    "You joined everything end to end, the norms too. Norms are whole in every shard; and of the "
    "matrices three kinds had their columns cut: wo, w2, the embedding."
)
def everything_end_to_end(shards):
    return _merged_by(lambda name, pieces: torch.cat(pieces), shards)


@wrong(
    "The axes are the wrong way round: rows where columns were cut and columns where rows were. "
    "What computes *some outputs* holds rows, axis 0; what reads *some inputs* holds columns, "
    "axis 1."
)
def axes_changed_places(shards):
    def rule(name, pieces):
        return pieces[0] if pieces[0].ndim == 1 else torch.cat(pieces, dim=1 - name.endswith(WIDE))

    return _merged_by(rule, shards)


@wrong(
    "You guessed the cut from the shape, the shorter side is the cut one. That depends on the "
    "sizes and on the number of shards: the name is what tells."
)
def guesses_from_the_shape(shards):
    def rule(name, pieces):
        if pieces[0].ndim == 1:
            return pieces[0]
        return torch.cat(pieces, dim=0 if pieces[0].shape[0] < pieces[0].shape[1] else 1)

    return _merged_by(rule, shards)


@wrong(
    "You took columns for the embedding alone. wo and w2 read what is dealt out, some heads and "
    "some hidden numbers: their columns were cut as well."
)
def columns_for_the_embedding_alone(shards):
    return _merged(shards, wide=("tok_embeddings.weight",))


@wrong(
    "All of attention was joined by columns. wq, wk and wv compute some of the heads, so their "
    "rows were cut; only wo reads the heads."
)
def attention_by_columns(shards):
    return _merged(shards, wide=("wq.weight", "wk.weight", "wv.weight", *WIDE))


@wrong(
    "The whole feed-forward layer was joined by columns. w1 and w3 compute some of the hidden "
    "numbers, so their rows were cut; only w2 reads them."
)
def feed_forward_by_columns(shards):
    return _merged(shards, wide=("w1.weight", "w3.weight", *WIDE))


@wrong(
    "You took w1 for the matrix that comes down. w1 is the gate and goes up: its rows were cut. w2 "
    "comes down, and its columns were."
)
def w1_for_w2(shards):
    return _merged(shards, wide=("wo.weight", "w1.weight", "tok_embeddings.weight"))


@wrong(
    "wk and wv are taken from the first shard. It is true that they are smaller with grouped "
    "queries; cut they are all the same, some KV heads in each shard."
)
def keys_and_values_once(shards):
    def rule(name, pieces):
        return pieces[0] if name.endswith(("wk.weight", "wv.weight")) else _rightly(name, pieces)

    return _merged_by(rule, shards)


@wrong(
    "Only the last norm, `norm.weight`, is taken whole. Those of the layers are called "
    "`attention_norm` and `ffn_norm`, and are copies too: every vector is."
)
def last_norm_alone_is_whole(shards):
    def rule(name, pieces):
        if name == "norm.weight":
            return pieces[0]
        return torch.cat(pieces, dim=int(name.endswith(WIDE)))

    return _merged_by(rule, shards)


@wrong(
    "The norms are missing: what has one axis was left out. Only rope.freqs is; a norm is taken "
    "from any one shard."
)
def forgets_the_norms(shards):
    return _merged_by(
        lambda n, pieces: None if pieces[0].ndim == 1 else _rightly(n, pieces), shards
    )


@wrong(
    "`torch.stack` puts the pieces behind one another along a *new* axis. `torch.cat` joins them "
    "along one that they have."
)
def stacks_the_pieces(shards):
    def rule(name, pieces):
        return pieces[0] if pieces[0].ndim == 1 else torch.stack(pieces)

    return _merged_by(rule, shards)


@wrong("You stacked the copies of a norm. They are copies: take one.")
def stacks_the_norms(shards):
    def rule(name, pieces):
        return torch.stack(pieces) if pieces[0].ndim == 1 else _rightly(name, pieces)

    return _merged_by(rule, shards)


@wrong(
    "You wrote it for two shards, by name. 7B comes in one, 70B in eight: go over the list, "
    "however long it is."
)
def exactly_two(shards):
    first, second = shards
    return _merged([first, second])


@wrong(
    "You joined the first two shards. 7B comes in one, 70B in eight: go over the list, however "
    "long it is."
)
def the_first_two(shards):
    return _merged([shards[0], shards[1]])


@wrong(
    "The result is float32 whatever the pieces were: `torch.zeros` makes float32 unless told, and "
    "`.float()` does. Keep their dtype; at 70B the difference is 138 GB."
)
def comes_out_float32(shards):
    return {name: weight.float() for name, weight in _merged(shards).items()}


@wrong(
    "You took one column from each shard in turn. A shard holds a block of columns that belong "
    "together, the whole heads that wo reads there: lay block beside block."
)
def deals_the_columns(shards):
    def rule(name, pieces):
        if pieces[0].ndim == 2 and name.endswith(WIDE):
            return torch.stack(pieces, dim=2).flatten(1)
        return _rightly(name, pieces)

    return _merged_by(rule, shards)


@wrong("You returned a list of tensors. Keep the names: a dict, name -> whole weight.")
def loses_the_names(shards):
    return list(_merged(shards).values())


@wrong(
    "You joined whole dicts, name by name with the shard's number in front, perhaps; the names "
    "must be Meta's own, once each."
)
def numbers_the_names(shards):
    return {
        f"{i}.{name}": weight for i, shard in enumerate(shards) for name, weight in shard.items()
    }


EXERCISE = Exercise(
    name="merge_shards",
    title="A checkpoint in shards",
    points=5,
    minutes=25,
    answer=merge_shards,
    reference=_merge_reference,
    probes=_merge_probes,
    misconceptions=wrong.all,
    hints=(
        "Think of two devices that share the work of a layer. Which matrices can each use with "
        "the whole of x at hand, giving a part of the result? And which get only a part to read?",
        "A weight is stored as (out, in). A device that computes some of the outputs holds some "
        "rows: join along axis 0. A device that reads some of the inputs holds some columns: join "
        "along axis 1. Vectors are in every shard whole.",
        "Read part of a result: wo reads heads, w2 reads the hidden layer. The embedding is the "
        "odd one out, each shard has a slice of every token's vector. `torch.cat` joins.",
    ),
)
