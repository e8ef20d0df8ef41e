"""Meta's folder: params.json, consolidated.00.pth and more of them, tokenizer.model.

Llama 2 70B comes in 8 files, 13B in 2: each holds a slice of every matrix, as one of several GPUs
needs it. Matrices that split their outputs are cut along axis 0 (wq, wk, wv, w1, w3, output), those
that split their inputs along axis 1 (wo, w2, and the embedding); norms are in every file.
params.json of Llama 2 says vocab_size -1 and knows no context, theta or tie; 4,096, 10,000 and
untied are meant. Saving adds these as keys, so that a model comes back as it was.
One file stays mapped into memory; several are merged into a copy, weight by weight.
Source: Meta's model.py and llama2.c's export.py.
"""

import re
from pathlib import Path

import torch

from llamalab.config import LlamaConfig
from llamalab.model import Llama
from llamalab.runtime.files import atomic_write
from llamalab.runtime.json_files import Fields, write_json

from . import names
from .build import StoredModel, make_config, weights_of, widest
from .files import FLOATS, read_pickle

SHARD = re.compile(r"consolidated\.([0-9]{2})\.pth")
AXIS = {
    "tok_embeddings": 1, "output": 0,
    "layers.{}.attention.wq": 0, "layers.{}.attention.wk": 0, "layers.{}.attention.wv": 0,
    "layers.{}.attention.wo": 1,
    "layers.{}.feed_forward.w1": 0, "layers.{}.feed_forward.w2": 1, "layers.{}.feed_forward.w3": 0,
}  # fmt: skip
KNOWN = {
    "dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "multiple_of", "ffn_dim_multiplier",
    "norm_eps", "max_seq_len", "max_batch_size", "hidden_dim", "rope_theta", "tie_embeddings",
}  # fmt: skip


def read(folder: Path) -> StoredModel:
    """What the folder holds, its shards mapped into memory and merged weight by weight."""
    fields = Fields(folder / "params.json")
    shards = [read_pickle(path) for path in _shard_files(folder)]
    for number, shard in enumerate(shards):
        shard.pop("rope.freqs", None)  # a table that follows from rope_theta
        _check_alike(folder, shards[0], shard, number)
    merged = {name: _merged_shape(name, tensor, len(shards)) for name, tensor in shards[0].items()}
    config = read_config(fields, merged)

    def fetch(name: str) -> torch.Tensor:
        pieces = [shard[name] for shard in shards]
        if len(pieces) == 1:
            return pieces[0]
        axis = _axis(name)
        if axis is not None:
            return torch.cat(pieces, dim=axis)
        if not all(torch.equal(pieces[0], piece) for piece in pieces):
            raise ValueError(f"{folder}: {name} is not the same in all {len(shards)} files")
        return pieces[0]

    stored = widest(tensor.dtype for shard in shards for tensor in shard.values())
    return StoredModel(where=folder, config=config, shapes=merged, stored=stored, read=fetch)


def read_config(fields: Fields, shapes: dict[str, tuple[int, ...]]) -> LlamaConfig:
    """params.json -> LlamaConfig. `shapes` tell the vocabulary's size where it says -1."""
    if unknown := sorted(set(fields.values) - KNOWN):
        raise fields.wrong(unknown[0], f"is not known; known are {', '.join(sorted(KNOWN))}")
    vocab_size = fields.whole("vocab_size", -1, least=-1)
    if vocab_size == -1:
        vocab_size = shapes.get("tok_embeddings.weight", (0,))[0]
    return make_config(
        fields.path,
        dim=fields.whole("dim"),
        n_layers=fields.whole("n_layers"),
        n_heads=fields.whole("n_heads"),
        n_kv_heads=fields.whole("n_kv_heads", None),
        vocab_size=vocab_size,
        hidden_dim=fields.whole("hidden_dim", None),
        multiple_of=fields.whole("multiple_of", 256),
        ffn_dim_multiplier=fields.number("ffn_dim_multiplier", None),
        norm_eps=fields.number("norm_eps", 1e-5),
        max_seq_len=fields.whole("max_seq_len", 4096),
        rope_theta=fields.number("rope_theta", 10000.0),
        tie_embeddings=fields.flag("tie_embeddings", False),
    )


def _shard_files(folder: Path) -> list[Path]:
    found = {int(m[1]): p for p in folder.iterdir() if (m := SHARD.fullmatch(p.name))}
    if not found or sorted(found) != list(range(len(found))):
        raise ValueError(
            f"{folder} must hold consolidated.00.pth and so on without a gap; the numbers there "
            f"are {sorted(found)}"
        )
    return [found[number] for number in range(len(found))]


def _axis(name: str) -> int | None:
    return AXIS.get(names.kind_and_layer(name)[0])


def _check_alike(folder: Path, first: dict, shard: dict, number: int) -> None:
    file = f"{folder / f'consolidated.{number:02}.pth'}"
    if not shard or shard.keys() != first.keys():
        odd = sorted(shard.keys() ^ first.keys())[:1]
        raise ValueError(f"{file} holds {len(shard)} weights, the first {len(first)}: {odd}")
    for name, tensor in shard.items():
        if tensor.shape != first[name].shape:
            raise ValueError(
                f"{file}: {name} has shape {tuple(tensor.shape)}, in the first file "
                f"{tuple(first[name].shape)}"
            )
        if tensor.dtype not in FLOATS or tensor.ndim not in (1, 2):
            raise ValueError(f"{file}: {name} is {tensor.dtype} of {tensor.ndim} axes, no weight")


def _merged_shape(name: str, tensor: torch.Tensor, n: int) -> tuple[int, ...]:
    axis = _axis(name)
    return tuple(size * n if i == axis else size for i, size in enumerate(tensor.shape))


def write(model: Llama, folder: Path, shards: int) -> None:
    """`shards` files, cut as Meta cuts; ValueError if a size cannot be cut into so many, and for
    a rope_scaling_factor, which Meta's readers would not know of."""
    config, weights = model.config, weights_of(model)
    if config.rope_scaling_factor != 1:
        raise ValueError(
            f"Meta's folder cannot hold rope_scaling_factor={config.rope_scaling_factor}: "
            f'its readers turn whole positions. Save it as format="hf"'
        )
    for field in ("dim", "hidden_dim", "n_kv_heads", "vocab_size"):
        if getattr(config, field) % shards:
            raise ValueError(f"shards={shards} must divide {field}={getattr(config, field)}")
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(shards):
        piece = {name: _slice(name, weight, number, shards) for name, weight in weights.items()}
        with atomic_write(folder / f"consolidated.{number:02}.pth") as part:
            torch.save(piece, part)
    write_json(folder / "params.json", params_json(config))
    for old in folder.iterdir():
        if (match := SHARD.fullmatch(old.name)) and int(match[1]) >= shards:
            old.unlink()


def _slice(name: str, weight: torch.Tensor, number: int, shards: int) -> torch.Tensor:
    axis = _axis(name)
    if axis is not None:
        weight = weight.chunk(shards, dim=axis)[number]
    weight = weight.cpu()
    whole = weight.is_contiguous() and weight.untyped_storage().nbytes() == weight.nbytes
    return weight if whole else weight.clone(memory_format=torch.contiguous_format)


def params_json(config: LlamaConfig) -> dict:
    """Meta's keys, and four that Meta's files of Llama 2 do not have."""
    optional = {"ffn_dim_multiplier": config.ffn_dim_multiplier}
    return {
        "dim": config.dim,
        "n_layers": config.n_layers,
        "n_heads": config.n_heads,
        "n_kv_heads": config.n_kv_heads,
        "vocab_size": config.vocab_size,
        "multiple_of": config.multiple_of,
        **{key: value for key, value in optional.items() if value is not None},
        "norm_eps": config.norm_eps,
        "hidden_dim": config.hidden_dim,
        "max_seq_len": config.max_seq_len,
        "rope_theta": config.rope_theta,
        "tie_embeddings": config.tie_embeddings,
    }
