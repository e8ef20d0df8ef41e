"""llamalab chat, as a person would use it: through a pipe, and with a real Ctrl+C."""

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from llamalab import cli
from llamalab.cli.talk import tuned_for_chat
from llamalab.config import LlamaConfig
from llamalab.formats import save
from llamalab.generation import Chat
from llamalab.model import Llama
from llamalab.tokenizer import BPETokenizer

ROOT = Path(__file__).parents[1]
TEXT = "the hen went to the river, and the river went to the sea [INST] <<SYS>>\n"


def saved(folder, context, dim=24, tokenizer=True):
    """A model that has learned nothing, and never ends by itself: greedily it goes on and on."""
    pieces = BPETokenizer.train(TEXT * 3, 300)
    config = LlamaConfig(dim=dim, n_layers=2, n_heads=4, n_kv_heads=2, vocab_size=pieces.vocab_size,
                         max_seq_len=context)  # fmt: skip
    model = Llama(config, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        model.output.weight[:3] = 0  # <unk>, <s>, </s>
        model.output.weight *= 50
    save(model, folder, tokenizer=pieces if tokenizer else None)
    return model, pieces


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("my things") / "small one"
    return folder, *saved(folder, 160)


def talk(*arguments, lines=()):
    """Exit status, what it says, what it remarks."""
    text = "".join(line + "\n" for line in lines)
    done = CliRunner().invoke(cli.app, ["chat", *map(str, arguments)], input=text)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert "Traceback" not in done.output
    return done.exit_code, done.stdout, done.stderr


GREEDY = ["--temperature", "0", "--max-new-tokens", "12"]


def test_a_conversation_through_a_pipe(small):
    folder, model, tokenizer = small
    by_hand = Chat(model.float(), tokenizer)
    due = [
        "".join(by_hand.say(text, temperature=0, max_new_tokens=12)) for text in ("the hen", "sea")
    ]
    status, said, remarks = talk(folder, *GREEDY, lines=["the hen", "", "  sea "])
    assert status == 0 and said == "".join(answer + "\n" for answer in due)
    assert "a context of 160 tokens" in remarks and "/help" in remarks
    assert remarks.count("(cut: ") == 2


def test_a_model_that_was_not_tuned_is_said_once_and_kindly(small, tmp_path):
    remarks = talk(small[0], *GREEDY, lines=["the", "the"])[2]
    assert remarks.count("has not been tuned to chat") == 1
    saved(tmp_path / "llama-2-7b-chat", 64)
    assert "not been tuned" not in talk(tmp_path / "llama-2-7b-chat", *GREEDY, lines=["the"])[2]


@pytest.mark.parametrize(
    "name, held, tuned",
    [
        ("tokenizer_config.json", {"chat_template": "{{ messages }}"}, True),
        ("tokenizer_config.json", {"bos_token": "<s>"}, False),
        ("record.json", {"chat": True}, True),
        ("record.json", {"steps": 9}, False),
        ("record.json", [1], False),
        ("chat_template.jinja", "", True),
    ],
)
def test_what_says_that_a_model_was_tuned(tmp_path, name, held, tuned):
    place = tmp_path / "model"
    place.mkdir()
    (place / name).write_text(json.dumps(held), encoding="utf-8")
    assert tuned_for_chat(place) is tuned
    (place / name).write_text("no json", encoding="utf-8")
    assert tuned_for_chat(place) is (name == "chat_template.jinja")


def test_commands(small):
    lines = ["/help", "/system", "/system Be kind.", "/system", "/system the [INST]", "/system off",
             "/system", "/clear", "/nothing", "/quit", "never read"]  # fmt: skip
    status, said, remarks = talk(small[0], *GREEDY, lines=lines)
    assert status == 0 and said == ""
    for words in ("/clear", "Ctrl+C stops an answer", "(no system text)", "(system: Be kind.)",
                  "holds the tag [INST]", "(no system text from now on)", "(forgotten)",
                  "there is no /nothing"):  # fmt: skip
        assert words in remarks, words


def test_clear_and_system_change_what_the_model_is_shown(small):
    folder, model, tokenizer = small
    fresh = talk(folder, *GREEDY, lines=["the hen"])[1]
    said = talk(folder, *GREEDY, lines=["the hen", "/clear", "the hen"])[1]
    assert said == fresh * 2
    assert talk(folder, *GREEDY, lines=["the hen", "the hen"])[1] != said
    with_system = talk(folder, *GREEDY, "--system", "to the sea", lines=["the hen"])[1]
    assert with_system == talk(folder, *GREEDY, lines=["/system to the sea", "the hen"])[1] != fresh


def test_a_full_context_leaves_turns_out_and_says_so(small):
    status, said, remarks = talk(small[0], *GREEDY, lines=["the hen went"] * 8)
    assert status == 0 and len(said.splitlines()) >= 8
    assert "the context is full" in remarks and "the oldest turn is left out" in remarks
    assert "the oldest 2 turns are left out" in remarks


def test_a_wrong_message_does_not_end_the_talk(small):
    lines = ["a [INST] in it", "hen " * 300, "the hen"]
    status, said, remarks = talk(small[0], *GREEDY, lines=lines)
    assert status == 0 and "holds the tag [INST]" in remarks and "max_seq_len=160" in remarks
    assert said == talk(small[0], *GREEDY, lines=["the hen"])[1]


def test_the_same_seed_is_the_same_conversation(small):
    warm = ["--temperature", "2", "--max-new-tokens", "9"]
    one, two, other = (
        talk(small[0], *warm, "--seed", n, lines=["the hen", "sea"])[1] for n in (1, 1, 2)
    )
    assert one == two != other


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["nowhere"], "no checkpoint"),
        (["SMALL", "--seed", "9" * 30], "63 bits"),
        (["SMALL", "--system", "a <<SYS>>"], "the system text (system) holds the tag <<SYS>>"),
        (["MUTE"], "no tokenizer.model"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(small, tmp_path, arguments, words):
    if arguments == ["MUTE"]:
        saved(tmp_path / "mute", 64, tokenizer=False)
    places = {"SMALL": small[0], "MUTE": tmp_path / "mute"}
    status, said, why = talk(*(places.get(a, a) for a in arguments), lines=["the hen"])
    assert status == 2 and said == "" and words in why and len(why.strip().splitlines()) == 1


def test_wrong_options_are_said_at_the_message(small):
    status, said, remarks = talk(small[0], "--temperature", "-1", lines=["the hen"])
    assert "temperature=-1.0" in remarks and said == ""


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal, and waits on a pipe")
def test_ctrl_c_stops_the_answer_and_not_the_program(tmp_path):
    """A real signal to a real process, twice; then it still talks, and leaves as asked."""
    saved(tmp_path / "endless", 6000, dim=64)
    process = subprocess.Popen(
        [sys.executable, "-m", "llamalab", "chat", "endless", "--temperature", "0"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        cwd=tmp_path, bufsize=0, start_new_session=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ["PYTHONPATH"]])},
    )  # fmt: skip
    try:
        remarked = []
        for number in range(1, 3):
            process.stdin.write(b"the hen\n")
            process.stdin.flush()
            assert process.stdout.read(1), "it speaks"
            process.send_signal(signal.SIGINT)
            while remarked.count("(stopped)") < number:
                remarked.append(process.stderr.readline().decode("utf-8").strip())
                assert process.poll() is None, remarked
            while select.select([process.stdout], [], [], 0)[0]:  # what it said until then
                assert os.read(process.stdout.fileno(), 65536)
        said, remarks = process.communicate(b"/system\n/quit\n", timeout=60)
    finally:
        process.kill()
    words = "\n".join(remarked) + remarks.decode("utf-8")
    assert process.returncode == 0, words
    assert words.count("(stopped)") == 2 and "(no system text)" in words
    assert "Traceback" not in words and "(cut" not in words
