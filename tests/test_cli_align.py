"""`llamalab tune` and `llamalab align`: the whole chain with a tiny model, in its own folders."""

import json

import pytest
import torch

from llamalab import formats
from llamalab.config import LlamaConfig
from llamalab.model import Llama
from llamalab.runs import checkpoint
from llamalab.tales import stories
from llamalab.tokenizer import BPETokenizer
from tests.test_cli import ask

FEW = ["--pairs", "12", "--batch-size", "4", "--steps", "3", "--save-every", "1"]
ROUNDS = ["--iterations", "3", "--batch-size", "3", "--mini-batch-size", "2", "--save-every", "1",
          "--max-new-tokens", "8"]  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A base model that nobody trained, and files to learn from."""
    folder = tmp_path_factory.mktemp("my things")
    tokenizer = BPETokenizer.train((story.text for story in stories(60)), 400)
    config = LlamaConfig(
        dim=12, n_layers=1, n_heads=3, n_kv_heads=1, vocab_size=400, multiple_of=8, max_seq_len=400
    )
    model = Llama(config, generator=torch.Generator().manual_seed(0))
    formats.save(model, folder / "base", tokenizer=tokenizer)
    talks = [
        {"messages": [{"role": "user", "content": f"{n} hens?"},
                      {"role": "assistant", "content": f"Yes, {n}."}]} for n in range(40)
    ]  # fmt: skip
    pairs = [
        {"prompt": f"{n} hens?", "chosen": f"Yes, {n}.", "rejected": "No.", "strength": n % 4}
        for n in range(20)
    ]
    asks = [{"prompt": f"{n} hens?", "safety": n % 2 == 0} for n in range(9)]
    for name, rows in (("talks", talks), ("pairs", pairs), ("asks", asks)):
        text = "\n".join(json.dumps(row) for row in rows) + "\n"
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def chain(home):
    """The chain by its commands: what each said, by name."""
    base = home / "base"
    said = {}
    for name, command in {
        "chat": ["tune", base, "--data", home / "talks.jsonl", "--steps", "4", "--save-every", "2",
                 "--hold-out", "0.2", "--tokens-per-batch", "200"],
        "lora": ["tune", base, "--dialogues", "30", "--steps", "3", "--lora", "--rank", "2"],
        "helpful": ["align", "reward", home / "chat", "--data", home / "pairs.jsonl",
                    "--steps", "3", "--batch-size", "4"],
        "safe": ["align", "reward", home / "chat", "--question", "safety", *FEW],
        "rlhf": ["align", "ppo", home / "chat", "--helpfulness", home / "helpful", "--safety",
                 home / "safe", "--data", home / "asks.jsonl", *ROUNDS],
        "dpo": ["align", "dpo", home / "chat", *FEW],
    }.items():  # fmt: skip
        status, out, err = ask(*command, "--out", home / name)
        assert status == 0, err
        said[name] = out, err
    return said


def test_each_step_of_the_chain_leaves_a_model_and_says_where_to_go_on(home, chain):
    for name in ("chat", "lora", "rlhf", "dpo"):
        out, err = chain[name]
        assert out.startswith("done: ") and f"llamalab chat {home / name}" in out
        assert "parameters to train, from its start" in err
        held, tokenizer = formats.load(home / name)
        assert held(torch.tensor([[1, 5]])).shape == (1, 2, 400) and tokenizer.vocab_size == 400
    for name in ("helpful", "safe"):
        out, _ = chain[name]
        assert "pairs held out" in out and "by strength" in out and "llamalab chat" not in out
        held, _ = formats.load(home / name)
        assert held(torch.tensor([[1, 5]])).shape == (1, 2, 1)
    assert "validation" in chain["chat"][1] and "right" in chain["helpful"][0]
    assert "KL" in chain["rlhf"][0] and "score" in chain["rlhf"][1]


def test_the_reward_s_offset_puts_zero_where_the_pairs_say(home, chain):
    assert formats.score_offset(home / "helpful") != 0.0
    rows = [json.loads(line) for line in open(home / "safe" / "data.jsonl", encoding="utf-8")]
    assert all(len(row["good"]) == 2 for row in rows)
    rows = [json.loads(line) for line in open(home / "helpful" / "data.jsonl", encoding="utf-8")]
    assert all(row["good"] is None for row in rows) and len(rows) == 20


def test_pairs_of_a_file_are_turns_of_the_chat_format(home, chain):
    from llamalab.tokenizer.chat import encode_dialog

    tokenizer = BPETokenizer.load(home / "base" / "tokenizer.model")
    row = json.loads(open(home / "helpful" / "data.jsonl", encoding="utf-8").readline())
    said = [{"role": "user", "content": "0 hens?"}, {"role": "assistant", "content": "Yes, 0."}]
    ids, mask = encode_dialog(tokenizer, said)
    assert row["chosen"] == ids and row["prompt"] == mask.index(1) and row["strength"] == 0
    assert row["rejected"][: row["prompt"]] == ids[: row["prompt"]]


def test_lora_leaves_its_adapters_and_the_merged_model(home, chain):
    base, _ = formats.load(home / "base")
    held, _ = formats.load(home / "lora")
    assert (home / "lora" / "adapter.safetensors").is_file()
    assert torch.equal(base.tok_embeddings.weight, held.tok_embeddings.weight)
    assert not torch.equal(base.layers[0].attention.wq.weight, held.layers[0].attention.wq.weight)


@pytest.mark.parametrize(
    "name, words",
    [
        ("chat", ["run         tune, step 4 of 4: loss", "head shares" * 0]),
        ("safe", ["run         reward, step 3 of 3", "head        one score a token"]),
        ("rlhf", ["run         ppo, step 3 of 3: score", "KL"]),
    ],
)
def test_info_says_how_far_it_is(home, chain, name, words):
    status, said, _ = ask("info", home / name)
    assert status == 0
    for word in words:
        assert word in said, said


def test_a_model_that_scores_does_not_write(home, chain):
    for command in ("generate", "chat"):
        status, _, why = ask(command, home / "safe")
        assert status == 2 and "scores answers" in why
    status, _, why = ask("tune", home / "safe", "--out", home / "x")
    assert status == 2 and "scores answers" in why and not (home / "x").exists()


def test_a_tuned_run_is_known_to_chat(home, chain):
    from llamalab.cli.talk import tuned_for_chat

    assert tuned_for_chat(home / "rlhf") and not tuned_for_chat(home / "base")
    assert tuned_for_chat(checkpoint.latest(home / "dpo" / "checkpoints"))


@pytest.mark.parametrize("name, command", [
    ("chat", ["tune"]), ("safe", ["align", "reward"]), ("dpo", ["align", "dpo"]),
    ("rlhf", ["align", "ppo"]),
])  # fmt: skip
def test_a_run_that_lost_its_end_is_resumed_to_the_same_bits(home, chain, tmp_path, name, command):
    import shutil

    two = tmp_path / name
    shutil.copytree(home / name, two)
    newest = checkpoint.latest(two / "checkpoints")
    shutil.rmtree(newest)
    for file in ("model.safetensors", "config.json"):
        (two / file).unlink()
    status, out, err = ask(*command, "--out", two, "--resume")
    assert status == 0 and "to train, from step" in err and out.startswith("done: "), err
    one = (home / name / "model.safetensors").read_bytes()
    assert (two / "model.safetensors").read_bytes() == one
    status, out, _ = ask(*command, "--out", two, "--resume")
    assert status == 0 and out.startswith("done: ")


def test_ctrl_c_saves_and_says_how_to_go_on(home, chain, tmp_path, monkeypatch):
    import signal

    from llamalab.runs.stage import Stage

    real, signals = Stage.save, iter([signal.SIGINT])

    def interrupted(stage):
        for kind in signals:  # behind the second step: the third is the last
            signal.raise_signal(kind)
        return real(stage)

    monkeypatch.setattr(Stage, "save", interrupted)
    out = tmp_path / "my chat"
    told = ask("tune", home / "base", "--data", home / "talks.jsonl", "--steps", "9",
               "--save-every", "2", "--tokens-per-batch", "200", "--out", out)  # fmt: skip
    monkeypatch.undo()
    assert told[0] == 0 and "stopping behind this step" in told[2]
    step = int(checkpoint.latest(out / "checkpoints").name[5:])
    assert 2 <= step < 9
    assert f"stopped at step {step} of 9, and saved" in told[1]
    assert f"llamalab tune --out {out} --resume" in told[1]
    assert ask("tune", "--out", out, "--resume")[0] == 0


BAD_LINES = {
    "no JSON": ('{"messages": [', "line 1, is no JSON"),
    "no object": ("[1]", "line 1, is no object"),
    "no messages": ('{"message": []}', "lacks 'messages'"),
    "an empty dialogue": ('{"messages": []}', "line 1: a dialog is a list"),
    "a list of numbers": ('{"messages": [1, 2]}', "line 1: message 1 must hold"),
    "a tag": ('{"messages": [{"role": "user", "content": "[INST]"}]}', "holds the tag"),
    "no answer": ('{"messages": [{"role": "user", "content": "Hi"}]}', "has an answer"),
    "nothing": ("\n", "holds nothing"),
}


@pytest.mark.parametrize("kind", BAD_LINES)
def test_a_bad_line_of_dialogues_is_named(home, tmp_path, kind):
    text, words = BAD_LINES[kind]
    (tmp_path / "bad.jsonl").write_text(text, encoding="utf-8")
    status, _, why = ask("tune", home / "base", "--out", tmp_path / "x", "--data",
                         tmp_path / "bad.jsonl")  # fmt: skip
    assert status == 2 and words in why and not (tmp_path / "x").exists(), why


PAIR = {"prompt": "Hi", "chosen": "Yes.", "rejected": "No.", "strength": 1}


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"strength": 4}, "strength=4 must be 0, 1, 2 or 3"),
        ({"strength": True}, "strength=True"),
        ({"prompt": 5}, "must be a text or a list"),
        ({"prompt": ""}, "has no text"),
        ({"chosen": 7}, "has no text"),
        ({"rejected": None}, "has no text"),
        ({"prompt": "hen " * 500}, "max_seq_len=400"),
    ],
)
def test_a_bad_pair_is_named(home, tmp_path, changes, words):
    (tmp_path / "bad.jsonl").write_text(json.dumps(PAIR | changes), encoding="utf-8")
    for kind in ("reward", "dpo"):
        status, _, why = ask("align", kind, home / "base", "--out", tmp_path / "x", "--data",
                             tmp_path / "bad.jsonl")  # fmt: skip
        assert status == 2 and words in why and not (tmp_path / "x").exists(), why


@pytest.mark.parametrize(
    "command, words",
    [
        (["tune"], "BASE is missing"),
        (["align", "reward"], "CHAT is missing"),
        (["tune", "nowhere"], "no checkpoint at nowhere"),
        (["tune", "BASE", "--rank", "4"], "--rank is about --lora"),
        (["tune", "BASE", "--lora", "--rank", "99"], "rank=99"),
        (["tune", "BASE", "--seq-len", "500"], "seq_len=500 is past"),
        (["tune", "BASE", "--seq-len", "3"], "fits into 3 + 1 tokens"),
        (["tune", "BASE", "--steps", "0"], "steps=0"),
        (["tune", "BASE", "--dialogues", "0"], "none of 0 dialogues"),
        (["tune", "BASE", "--hold-out", "1"], "hold_out=1.0"),
        (["tune", "--resume"], "no run to resume"),
        (["align", "ppo", "BASE"], "--helpfulness is missing"),
        (["align", "ppo", "BASE", "--helpfulness", "BASE", "--safety", "BASE"], "no reward model"),
        (["align", "reward", "BASE", "--question", "wit"], "helpfulness, safety"),
        (["align", "reward", "BASE", "--margins", "wide"], "none, small, large"),
        (["align", "reward", "BASE", "--pairs", "0"], "--pairs 0"),
        (["align", "dpo", "BASE", "--beta", "0"], "beta=0.0"),
        (["align", "dpo", "--resume"], "no run to resume"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(home, tmp_path, monkeypatch, command, words):
    monkeypatch.chdir(tmp_path)
    few = ["--dialogues", "5"] if command[0] == "tune" and "--dialogues" not in command else []
    few = [] if "--resume" in command else few
    given = [home / "base" if word == "BASE" else word for word in command]
    status, said, why = ask(*given, *few, "--out", "x")
    assert status == 2 and said == "" and words in why, why
    assert len(why) < 500 and not (tmp_path / "x").exists()


def test_a_run_that_is_there_is_not_overwritten(home, chain):
    before = {path: path.stat().st_mtime_ns for path in (home / "chat").rglob("*")}
    for more, words in (
        ([home / "base"], "holds a run already"),
        (["--resume", "--lr", "1"], "leave out --lr"),
        ([home / "base", "--resume"], "leave out BASE"),
    ):
        status, _, why = ask("tune", *more, "--out", home / "chat")
        assert status == 2 and words in why, why
    status, _, why = ask("align", "dpo", "--out", home / "chat", "--resume")
    assert status == 2 and "another kind of run: tune, not dpo" in why
    status, _, why = ask("train", "--out", home / "chat", "--resume", "--device", "cpu")
    assert status == 2 and "no run's plan" in why
    assert before == {path: path.stat().st_mtime_ns for path in (home / "chat").rglob("*")}
