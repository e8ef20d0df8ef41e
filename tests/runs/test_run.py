"""A run in a folder: what it holds back, what it refuses, and that its plan comes back whole.

That a resumed run is the run that never stopped stands in test_checkpoint and test_kill.
"""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from llamalab import formats
from llamalab.accounting import memory
from llamalab.config import LlamaConfig
from llamalab.runs import text as run_text
from llamalab.runs.plan import Plan, read_plan
from llamalab.runs.run import begin, check, resume
from llamalab.training import TrainConfig, documents, evaluate, read_tokens
from tests.runs.small import CONFIG, STORIES

PLAN = Plan(train=TrainConfig(steps=3, lr=0.01), batch_size=2, seq_len=16, save_every=2)


@pytest.fixture
def start(tokenizer, tmp_path):
    def start(texts=STORIES, plan=PLAN, config=CONFIG, out=tmp_path / "run", **changes):
        return begin(out, config, replace(plan, **changes), texts, tokenizer=tokenizer)

    return start


def test_a_run_leaves_a_model_that_others_can_load(start, tmp_path):
    run = start()
    records = list(run)
    out = tmp_path / "run"
    names = {p.name for p in out.iterdir()}
    assert names == {"run.json", "tokenizer.model", "tokens.npy", "losses.jsonl", "checkpoints",
                     "config.json", "model.safetensors"}  # fmt: skip
    held, tokenizer = formats.load(out)
    assert all(torch.equal(a, b) for a, b in zip(held.parameters(), run.model.parameters()))
    assert tokenizer.vocab_size == 290
    lines = (out / "losses.jsonl").read_text(encoding="utf-8").splitlines()
    threads = {"threads": torch.get_num_threads()}
    assert [json.loads(line) for line in lines] == [asdict(record) | threads for record in records]
    assert records[-1].val_loss == pytest.approx(evaluate(held, run.validation), abs=1e-6)
    assert [p.name for p in sorted((out / "checkpoints").iterdir())] == [
        "step-00000002", "step-00000003"]  # fmt: skip
    assert list(resume(out)) == []  # it is done


def test_the_plan_comes_back_whole(start, tmp_path):
    recipe = TrainConfig(
        steps=3, lr=0.02, warmup_steps=1, grad_accum_steps=2, eval_every=2, max_grad_norm=0.5
    )
    plan = Plan(train=recipe, batch_size=3, seq_len=8, seed=7, save_every=0, hold_out=0.25)
    start(plan=plan)
    config, found, cut = read_plan(tmp_path / "run")
    assert (config, found) == (CONFIG, plan)
    assert 0 < cut < len(read_tokens(tmp_path / "run" / "tokens.npy"))


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9])
def test_what_is_held_back_begins_with_a_document(start, tokenizer, tmp_path, share):
    run = start(hold_out=share, batch_size=1)
    tokens, (_, _, cut) = read_tokens(run.out / "tokens.npy"), read_plan(run.out)
    assert tokens[cut] == tokenizer.bos_id and tokens[cut - 1] == tokenizer.eos_id
    assert (len(tokens) - cut) / len(tokens) == pytest.approx(share, abs=0.02)
    assert (len(tokens) - cut) / len(tokens) >= share  # the whole document, not its end
    assert run.batches.tokens.tolist() == tokens[:cut].tolist()
    assert run.validation[0][0, 0] == tokenizer.bos_id


@pytest.mark.parametrize("share", [0.05, 0.6, 0.9])
@pytest.mark.parametrize("by_document", [True, False])
def test_one_long_text_is_cut_inside(start, tmp_path, share, by_document):
    run = start(["\n".join(STORIES)], hold_out=share, batch_size=1, by_document=by_document)
    tokens, (_, _, cut) = read_tokens(run.out / "tokens.npy"), read_plan(run.out)
    assert (len(tokens) - cut) / len(tokens) == pytest.approx(share, abs=0.001)
    assert run.validation[0][0].tolist() == tokens[cut : cut + 17].tolist()
    assert len(list(run)) == 3


def test_a_border_far_away_is_not_looked_for(monkeypatch):
    """So that a row larger than memory is not read to find one."""
    tokens, plan = np.arange(5, 1005), replace(PLAN, hold_out=0.4)
    tokens[[0, 520]] = 1
    assert run_text._cut_for_validation(tokens, plan, 1) == 520
    monkeypatch.setattr(run_text, "FAR", 50)
    assert run_text._cut_for_validation(tokens, plan, 1) == 600


def test_without_holding_back_all_is_learned(start):
    run = start(hold_out=0.0)
    assert run.validation is None
    assert len(run.batches.tokens) == len(read_tokens(run.out / "tokens.npy"))
    assert [record.val_loss for record in run] == [None] * 3


@pytest.mark.parametrize(
    "texts, changes, why",
    [
        (["the hen"], {}, "5% of .* are too few to validate"),
        (["the hen"], {"hold_out": 0.0}, r"too few for a window of 16 \+ 1"),
        (STORIES[:4], {"hold_out": 0.95}, "too few for a window"),
        ([], {}, "no text"),
    ],
)
def test_too_little_text_leaves_no_run_behind(start, tmp_path, texts, changes, why):
    with pytest.raises(ValueError, match=why):
        start(texts, **changes)
    with pytest.raises(FileNotFoundError):
        resume(tmp_path / "run")
    start()  # and with more text it goes, in the same folder


def test_a_run_is_not_begun_twice(start, tmp_path):
    list(start())
    before = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    with pytest.raises(FileExistsError, match="holds a run already"):
        start()
    assert before == {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}


def test_what_can_be_known_is_said_before_a_text_is_read(start, tmp_path, monkeypatch):
    def never():
        raise AssertionError("the text was read")
        yield

    with pytest.raises(ValueError, match="seq_len=33 is past .* max_seq_len=32"):
        start(never(), seq_len=33)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(FileExistsError, match="is a file"):
        start(never(), out=tmp_path / "file")
    monkeypatch.setattr(memory, "available_memory", lambda: 2**30)
    with pytest.raises(MemoryError, match="100.4.* GiB are needed and there are 1.00 GiB"):
        check(tmp_path / "run", LlamaConfig.from_name("llama-2-7b"), PLAN)
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr(memory, "available_memory", lambda: 1000)
    with pytest.raises(MemoryError, match="running it, not training it|does not fit"):
        start(never())


def test_nothing_to_resume_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="no run to resume"):
        resume(tmp_path)
    with pytest.raises(FileNotFoundError, match="no run to resume"):
        resume(tmp_path / "nowhere")


@pytest.mark.parametrize("config_size", [290, 1000, 3])
def test_the_model_gets_the_tokenizers_vocabulary(start, config_size):
    run = start(config=replace(CONFIG, vocab_size=config_size))
    assert run.config.vocab_size == 290 and len(run.model.output.weight) == 290


@pytest.mark.parametrize(
    "field, value",
    [
        ("batch_size", 0), ("batch_size", 2.0), ("seq_len", 0), ("seq_len", "16"),
        ("save_every", -1), ("seed", "x"), ("seed", 2**70), ("hold_out", 1.0),
        ("hold_out", -0.1), ("hold_out", float("nan")), ("parallel", "tensor"),
    ],
)  # fmt: skip
def test_a_plan_of_nonsense_is_named(field, value):
    with pytest.raises(ValueError, match=f"{field}="):
        replace(PLAN, **{field: value})


def nonsense(held, change):
    place, value = change
    *way, last = place.split(".")
    for name in way:
        held = held[name]
    if value is ...:
        del held[last]
    else:
        held[last] = value


@pytest.mark.parametrize(
    "change",
    [
        ("plan", ...), ("plan", []), ("plan", 3), ("plan.train", None), ("plan.train", "fast"),
        ("plan.train.steps", "many"), ("plan.train.steps", None), ("plan.train.lr", "high"),
        ("plan.train.wings", 2), ("plan.batch_size", None), ("plan.seq_len", -1),
        ("plan.hold_out", "half"), ("plan.wings", 2), ("model", ...), ("model", None),
        ("model.dim", 13), ("model.dim", "wide"), ("model.wings", 2), ("cut", ...), ("cut", 0),
        ("cut", "5"), ("cut", 1.5), ("cut", None),
    ],
)  # fmt: skip
def test_a_run_json_of_nonsense_is_refused_by_name(start, tmp_path, change):
    start()
    path = tmp_path / "run" / "run.json"
    held = json.loads(path.read_text(encoding="utf-8"))
    nonsense(held, change)
    path.write_text(json.dumps(held), encoding="utf-8")
    with pytest.raises(ValueError, match="run.json"):
        resume(tmp_path / "run")
    path.write_text("{" + path.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(ValueError, match="run.json"):
        resume(tmp_path / "run")


def test_lines_behind_the_checkpoint_are_forgotten(start, tmp_path):
    """A kill may cut the last line short, and others may be no records at all."""
    log = tmp_path / "run" / "losses.jsonl"
    for record in start(plan=replace(PLAN, train=TrainConfig(steps=5)), save_every=2):
        if record.step == 2:
            break
    kept = log.read_text(encoding="utf-8")
    behind = ['{"step": 3, "loss": 9.0}', "5", "[]", '{"step": "four"}', '{"loss": 1}', "", '{"st']
    log.write_text(kept + "\n".join(behind), encoding="utf-8")
    list(resume(tmp_path / "run"))
    lines = log.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5]
    assert lines[:2] == kept.splitlines()


def test_a_text_of_ones_own(start, tmp_path, tokenizer):
    path = tmp_path / "a text.txt"
    path.write_bytes("\r\n".join(STORIES).encode())
    run = start(documents(path, by_line=True))
    row = np.concatenate([[tokenizer.bos_id, *tokenizer.encode(s), tokenizer.eos_id]
                          for s in STORIES])  # fmt: skip
    assert np.array_equal(read_tokens(run.out / "tokens.npy"), row)
