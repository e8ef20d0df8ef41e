"""The model that a command works with: found by its path, and of the kind that is needed."""

from pathlib import Path


def find(path: str) -> Path:
    """What `load` is to load: a run that is not finished has its newest checkpoint. ValueError for
    a run that has none yet."""
    from llamalab.runs import checkpoint

    place = Path(path)
    if (place / "config.json").exists():
        return place
    newest = checkpoint.latest(place / "checkpoints")
    if newest is None and (place / "run.json").exists():
        raise ValueError(f"{place} is a run without a checkpoint yet: go on with --resume")
    return newest or place


def load_writer(path: str, **options):
    """A model that writes, in float32, and its tokenizer; options as for `formats.load`. ValueError
    for one that scores, or has no tokenizer."""
    import torch

    from llamalab.formats import load, scores

    model, tokenizer = load(find(path), dtype=torch.float32, **options)
    if scores(model):
        raise ValueError(f"{path} is a model that scores answers: it cannot write any")
    if tokenizer is None:
        raise ValueError(
            f"{path} has no tokenizer.model beside its weights: it cannot read or write"
        )
    return model.eval(), tokenizer


def seeded(seed: int | None):
    """A generator of random numbers: by the seed, or another one each time. ValueError for a seed
    of more than 63 bits."""
    import torch

    if seed is not None and not -(2**63) <= seed < 2**63:
        raise ValueError(f"seed={seed} must have at most 63 bits")
    generator = torch.Generator()
    generator.seed() if seed is None else generator.manual_seed(seed)
    return generator
