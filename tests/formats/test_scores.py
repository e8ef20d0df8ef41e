"""Reward and value models, in and out: transformers opens the folder and gives the same scores."""

import json

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from llamalab import formats
from llamalab.alignment.reward_model import pad, scores, with_scalar_head
from llamalab.runtime import paths
from llamalab.tokenizer import BPETokenizer

ROWS = [[5, 9, 2], [7, 8, 1, 30, 11, 2], [4], [3, 39]]  # 2 is </s>: a score stands on it


@pytest.fixture(params=[False, True], ids=["untied", "tied"])
def scorer(small, request):
    model = small(tie_embeddings=request.param)
    return with_scalar_head(model, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def folder(scorer, tmp_path):
    formats.save(scorer, tmp_path / "reward", offset=-1.25)
    return tmp_path / "reward"


def test_what_is_loaded_is_what_was_saved(scorer, folder, same):
    before = {name: weight.clone() for name, weight in scorer.state_dict().items()}
    held, tokenizer = formats.load(folder)
    same(held, scorer)
    assert tokenizer is None and held.config == scorer.config
    tokens, last = pad(ROWS)
    assert held(tokens).shape == (4, 6, 1)
    assert torch.equal(scores(held, tokens, last), scores(scorer, tokens, last))
    assert held.output.weight is not held.tok_embeddings.weight
    assert formats.score_offset(folder) == -1.25
    after = scorer.state_dict()
    assert all(torch.equal(after[name], weight) for name, weight in before.items())


def test_a_head_of_zeros_and_a_gradient_come_through(small, tmp_path):
    formats.save(with_scalar_head(small(), zero=True), tmp_path)
    held, _ = formats.load(tmp_path)
    tokens, last = pad(ROWS)
    scored = scores(held, tokens, last)
    assert torch.equal(scored, torch.zeros(4)) and formats.score_offset(tmp_path) == 0.0
    scored.sum().backward()
    assert held.output.weight.grad.shape == (1, 24) and held.output.weight.grad.abs().sum() > 0


def test_transformers_gives_the_same_scores_in_a_padded_batch(scorer, folder):
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    assert type(theirs).__name__ == "LlamaForSequenceClassification"
    assert theirs.config.num_labels == 1 and theirs.score.weight.shape == (1, 24)
    tokens, last = pad(ROWS, fill=theirs.config.pad_token_id)
    with torch.no_grad():
        ours = scores(scorer, tokens, last)
        told = theirs(tokens).logits[:, 0]
        alone = torch.cat([theirs(torch.tensor([row])).logits[:, 0] for row in ROWS])
    assert ours.std() > 0.1  # they differ, so a wrong place would show
    torch.testing.assert_close(told, ours, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(alone, ours, rtol=1e-5, atol=1e-5)


def test_what_transformers_saves_is_read(scorer, folder, tmp_path, same):
    theirs = transformers.LlamaForSequenceClassification.from_pretrained(folder)
    theirs.save_pretrained(tmp_path / "theirs")
    held, _ = formats.load(tmp_path / "theirs")
    same(held, scorer)


def test_padding_is_no_token_that_an_answer_ends_with(small, tmp_path):
    tokenizer = BPETokenizer.load(paths.checkpoints()["tales"] / "tokenizer.model")
    scorer = with_scalar_head(small(vocab_size=tokenizer.vocab_size))
    formats.save(scorer, tmp_path, tokenizer=tokenizer)
    held = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert held["pad_token_id"] == tokenizer.unk_id != held["eos_token_id"]
    assert formats.load(tmp_path)[1].vocab_size == tokenizer.vocab_size


def test_a_value_is_written_in_shards_too(scorer, tmp_path, same):
    formats.save(scorer, tmp_path, max_shard_bytes=20_000)
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    same(formats.load(tmp_path)[0], scorer)


def test_a_plain_model_s_config_says_nothing_of_scores(small, tmp_path):
    formats.save(small(), tmp_path)
    held = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert held["architectures"] == ["LlamaForCausalLM"]
    assert not {"id2label", "pad_token_id", "llamalab_offset"} & held.keys()


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"id2label": {"0": "a", "1": "b"}}, ["2 labels", "with 1"]),
        ({"id2label": None}, ["2 labels"]),
        ({"id2label": {}}, ["0 labels"]),
        ({"id2label": [1]}, ["id2label", "object"]),
        ({"num_labels": 3}, ["3 labels"]),
        ({"num_labels": "1"}, ["num_labels", "whole number"]),
        ({"llamalab_offset": "1"}, ["llamalab_offset", "finite"]),
        ({"llamalab_offset": True}, ["llamalab_offset", "finite"]),
        ({"llamalab_offset": 10**400}, ["llamalab_offset", "finite"]),
        ({"architectures": ["LlamaForCausalLM"]}, ["score.weight", "no weight of a Llama 2"]),
        ({"architectures": None}, ["score.weight", "no weight of a Llama 2"]),
        ({"architectures": {"a": []}}, ["score.weight", "no weight of a Llama 2"]),
    ],
)
def test_a_config_that_does_not_fit(refused, edit, folder, fields, words):
    edit(folder / "config.json", **fields)
    refused(folder, *words)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"score.weight": None}, ["lacks output.weight"]),
        ({"score.weight": torch.ones(2, 24)}, ["output.weight", "(2, 24)", "(1, 24)"]),
        ({"score.weight": torch.ones(1, 23)}, ["output.weight", "(1, 23)", "(1, 24)"]),
        ({"score.weight": torch.full((1, 24), float("nan"))}, ["output.weight", "nan"]),
        ({"score.bias": torch.ones(1)}, ["score.bias", "no weight"]),
        ({"lm_head.weight": torch.ones(40, 24)}, ["lm_head.weight", "that scores"]),
    ],
)
def test_a_head_that_does_not_fit(refused, folder, changes, words):
    path = folder / "model.safetensors"
    weights = {**load_file(path), **changes}
    save_file({name: w for name, w in weights.items() if w is not None}, path)
    refused(folder, *words)


def test_a_scorer_that_says_it_is_a_language_model_lacks_its_head(refused, edit, hf):
    edit(hf / "config.json", architectures=["LlamaForSequenceClassification"], num_labels=1)
    refused(hf, "lm_head.weight", "that scores")


@pytest.mark.parametrize("format", ["meta", "llama2c", "llama2c-q8"])
def test_other_formats_have_no_such_head(scorer, tmp_path, format):
    with pytest.raises(ValueError, match="scores can be saved as 'hf' alone"):
        formats.save(scorer, tmp_path / "x", format=format)
    assert not (tmp_path / "x").exists()


def test_an_offset_is_for_what_scores_and_is_a_number(small, scorer, tmp_path):
    for model, offset in ((small(), 0.5), (scorer, float("nan")), (scorer, float("inf"))):
        with pytest.raises(ValueError, match="offset="):
            formats.save(model, tmp_path / "x", offset=offset)
    assert not (tmp_path / "x").exists()
