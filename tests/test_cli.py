"""The command line and the doctor, as a person would use them."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import numpy as np
import pytest
from typer.testing import CliRunner

from llamalab import cli
from llamalab.accounting import memory
from llamalab.course import doctor
from llamalab.course.doctor import software
from llamalab.runtime import device, paths

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-c", "from llamalab.cli import app; app()"]


def run(*arguments: str, code: str = "from llamalab.cli import app; app()", **options):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, **options
    )


@pytest.fixture
def course(tmp_path):
    """A folder that looks like the course."""
    (tmp_path / "notebooks").mkdir()
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / paths.FIRST_NOTEBOOK)
    return tmp_path


# ---- help -----------------------------------------------------------------------------------


def test_help_teaches_and_is_quick():
    code = (
        "import sys; from llamalab.cli import app\n"
        "try: app()\n"
        "finally: print('heavy:', sorted({'torch', 'jupyterlab', 'numpy'} & set(sys.modules)))"
    )
    for arguments in (
        [], ["train"], ["generate"], ["chat"], ["info"], ["tune"], ["align", "ppo"], ["carbon"],
        ["classroom", "release"], ["classroom", "grade"],
    ):  # fmt: skip
        done = run(*arguments, "--help", code=code)
        assert done.returncode == 0
        assert "heavy: []" in done.stdout
        if not arguments:
            assert "Write Llama 2 yourself" in done.stdout
            for command in (
                "lab", "doctor", "train", "tune", "align", "generate", "chat", "info", "carbon",
                "classroom",
            ):  # fmt: skip
                assert command in done.stdout


@pytest.mark.parametrize(
    "command, words",
    [
        ("lab", ["JupyterLab", "--port"]),
        ("doctor", ["ok or a warning"]),
        ("train", ["--text", "--resume", "torchrun", "llamalab train --out my_run", "Ctrl+C",
                   "two minutes", "losses.jsonl", "[default: 0.05]"]),
        ("tune", ["--lora", "--resume", "llamalab tune tales --out my_chat", "Ctrl+C", "messages"]),
        ("align", ["reward", "ppo", "dpo", "helpfulness, safety"]),
        ("generate", ["greedy", "--temperature 0.6 --top-p 0.9", "--seed", "my_run"]),
        ("chat", ["Ctrl+C", "/help", "--system", "oldest turns", "my_run"]),
        ("info", ["checkpoint", "run", "memory"]),
        ("classroom", ["release", "grade", "nbgrader", "points.md"]),
        ("carbon", ["no default", "539 t", "ledger.jsonl", "--remember"]),
    ],
)  # fmt: skip
def test_each_command_explains_itself(command, words):
    done = CliRunner().invoke(cli.app, [command, "--help"], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    assert len(done.output) > 200
    text = " ".join(done.output.split())
    for word in words:
        assert word in text, word


@pytest.mark.parametrize("group", [[], ["align"], ["classroom"]])
def test_the_list_of_commands_cuts_no_sentence_off(group):
    done = CliRunner().invoke(cli.app, [*group, "--help"], env={"COLUMNS": "80"})
    _, listed = done.output.split("Commands:")
    assert len(listed.strip().splitlines()) >= 2 and "..." not in listed


# ---- lab ------------------------------------------------------------------------------------


def test_the_course_is_found_from_inside(course):
    below = course / "notebooks" / "deep"
    below.mkdir()
    assert paths.find_course(below) == course
    assert paths.find_course(course) == course


def test_without_the_course_it_says_where_to_go(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(paths, "find_course", lambda start: None)
    done = CliRunner().invoke(cli.app, ["lab"])
    assert done.exit_code == 2
    assert "the folder that you cloned" in done.output
    assert "Traceback" not in done.output


def test_without_jupyterlab_it_says_what_to_install(course, monkeypatch):
    monkeypatch.chdir(course)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = CliRunner().invoke(cli.app, ["lab"])
    assert done.exit_code == 2
    assert ".[lab]" in done.output


@pytest.mark.parametrize(
    "environment, platform, seen",
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"DISPLAY": ":0", "SSH_CONNECTION": "1 2 3 4"}, "linux", False),
        ({}, "darwin", True),
        ({"SSH_TTY": "/dev/ttys001"}, "darwin", False),
        ({}, "win32", True),
    ],
)
def test_a_browser_is_opened_only_where_somebody_would_see_it(environment, platform, seen):
    assert cli.has_display(environment, platform) is seen


def test_only_root_gets_what_root_needs(course):
    ours = cli.jupyter_options(course, 8888, "localhost", browser=True, root=False)
    assert "--allow-root" not in ours and "--no-browser" not in ours
    roots = cli.jupyter_options(course, 8888, "localhost", browser=False, root=True)
    assert "--allow-root" in roots and "--no-browser" in roots


def test_lab_without_a_display_prints_an_address_that_answers(course, tmp_path):
    """The real thing: JupyterLab on this machine, as root too, with the notebook behind it."""
    pytest.importorskip("jupyterlab")
    hidden = ("DISPLAY", "WAYLAND_DISPLAY")
    environment = {k: v for k, v in os.environ.items() if k not in hidden}
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        environment[name] = str(tmp_path / name)
    log = tmp_path / "log"
    with open(log, "wb") as file:
        server = subprocess.Popen(
            [*COMMAND, "lab", "--no-browser", "--port", "18888"],
            cwd=course / "notebooks",
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        address = re.compile(r"http://(?:localhost|127\.0\.0\.1):\d+/\S*\?token=[0-9a-f]+")
        found, deadline = None, time.monotonic() + 60
        while found is None and time.monotonic() < deadline and server.poll() is None:
            time.sleep(0.2)
            found = address.search(log.read_text(encoding="utf-8", errors="replace"))
        assert found, log.read_text(encoding="utf-8", errors="replace")
        assert "/lab/tree/notebooks/00_start_here.ipynb" in found[0]
        with urllib.request.urlopen(found[0], timeout=30) as page:
            assert page.status == 200
            assert "JupyterLab" in page.read().decode("utf-8")
        contents = found[0].replace("/lab/tree/", "/api/contents/")
        with urllib.request.urlopen(contents, timeout=30) as page:
            assert page.status == 200
    finally:
        server.terminate()
        server.wait(timeout=30)


# ---- doctor ---------------------------------------------------------------------------------


def test_doctor_looks_at_everything_and_says_what_it_found(course, monkeypatch):
    monkeypatch.chdir(course)
    report = doctor.examine()
    found = {finding.name: finding for finding in report}
    for name in ("Python", "torch", "computes on", "CPU cores", "memory", "packages", "network"):
        assert name in found, name
    assert found["notebooks"].value == "1 found"
    assert found["network"].value == "not needed"
    choice = device.choose_device()
    assert choice.device in found["computes on"].value
    assert all(finding.value in str(report) for finding in report)
    assert report._repr_html_().count("<tr>") == len(report)


def test_doctor_names_no_path_of_this_machine(course, monkeypatch):
    """Its table is a stored output of notebook 00."""
    monkeypatch.chdir(course)
    assert str(course) not in str(doctor.examine())
    monkeypatch.delenv(paths.ANSWERS_VARIABLE)
    assert str(course) not in str(doctor.examine())


def test_doctor_command_prints_the_report():
    done = CliRunner().invoke(cli.app, ["doctor"])
    assert "torch" in done.output and "memory" in done.output
    assert done.exit_code == (0 if doctor.examine().ok else 1)


def test_a_broken_torch_is_a_finding_and_no_traceback(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    torch = next(finding for finding in doctor.examine() if finding.name == "torch")
    assert not torch.ok
    assert "pip install" in torch.way_out


def test_an_old_torch_is_a_warning(monkeypatch):
    monkeypatch.setattr("torch.__version__", "2.4.1")
    torch = next(finding for finding in doctor.examine() if finding.name == "torch")
    assert not torch.ok


def test_a_missing_package_is_named(monkeypatch):
    have = software.version_of
    monkeypatch.setattr(
        software, "version_of", lambda name: None if name == "sentencepiece" else have(name)
    )
    report = doctor.examine()
    missing = next(finding for finding in report if finding.name == "missing")
    assert missing.value == "sentencepiece" and not report.ok


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path, monkeypatch):
    """Below a file there can be no folder, whoever asks."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv(paths.ANSWERS_VARIABLE, str(tmp_path / "file" / "my_llama"))
    answers = next(finding for finding in doctor.examine() if finding.name == "your answers")
    assert not answers.ok
    assert paths.ANSWERS_VARIABLE in answers.way_out


@pytest.mark.parametrize(
    "cpuinfo, units",
    [
        ("processor: 0\nflags\t\t: fpu avx2 avx512f\n", ()),
        ("flags\t\t: fpu amx_bf16 avx512_bf16 amx_tile\n", ("amx_bf16", "avx512_bf16")),
        ("flags\t\t: fpu avx512_bf16x\n", ()),
        ("processor: 0\n", None),
    ],
)
def test_bf16_units_are_read_not_guessed(cpuinfo, units):
    assert device.bf16_flags(cpuinfo) == units


@pytest.mark.parametrize(
    "units, dtype, word",
    [
        (("amx_bf16",), "bfloat16", "amx_bf16"),
        ((), "float32", "without"),
        (None, "float32", "unknown"),
    ],
)
def test_the_dtype_on_a_cpu_follows_its_matrix_units(monkeypatch, units, dtype, word):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    monkeypatch.setattr(device, "bf16_units", lambda: units)
    choice = device.choose_device()
    assert (choice.device, choice.dtype) == ("cpu", dtype)
    assert word in choice.why


# ---- train, generate, info ------------------------------------------------------------------

STORIES = [f"The hen went {n} miles to the river,\r\nand {n} more to the sea." for n in range(90)]
SHAPE = ["--dim", "12", "--n-layers", "1", "--n-heads", "3", "--n-kv-heads", "1"]
SMALL = [*SHAPE, "--vocab-size", "300", "--seq-len", "16", "--batch-size", "2", "--steps", "4"]
EXACT = ["--dtype", "float32", "--device", "cpu"]


def ask(*arguments):
    """The command in this process: exit status, what it says, what it complains of."""
    done = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert "Traceback" not in done.output
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A learner's folder, with a space in its name, a text, and a run of four steps."""
    folder = tmp_path_factory.mktemp("my things")
    (folder / "my book.txt").write_text("\n".join(STORIES), encoding="utf-8", newline="")
    return folder


@pytest.fixture(scope="module")
def my_run(home):
    command = ["train", "--out", "my run", "--text", "my book.txt", *SMALL, *EXACT]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(
        [str(ROOT), os.environ.get("PYTHONPATH", "")])}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "llamalab", *command],
        cwd=home, env=environment, capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return home / "my run", done


def test_train_says_what_it_does_and_leaves_a_model(my_run):
    out, done = my_run
    words = ["learning a tokenizer", "parameters from random numbers", "tokens to see", "on cpu",
             "float32", "4/4", "loss", "tokens/s", "left]", "Wh", "validation"]  # fmt: skip
    for word in words:
        assert word in done.stderr, word
    assert done.stdout.startswith("done: loss ") and "llamalab generate my run" in done.stdout
    lines = (out / "losses.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]
    held = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert held["model"]["dim"] == 12 and held["model"]["vocab_size"] == 300
    assert held["plan"]["train"]["lr"] == 3e-3 and held["plan"]["batch_size"] == 2


def test_a_finished_run_is_resumed_to_its_end(my_run):
    status, said, _ = ask("train", "--out", my_run[0], "--resume")
    assert status == 0 and said.startswith("done: loss ")


def test_generate_writes_the_prompt_and_goes_on(my_run):
    greedy = ["generate", my_run[0], "--prompt", "The hen", "--temperature", "0"]
    status, text, _ = ask(*greedy, "--max-new-tokens", "12")
    assert status == 0 and text.startswith("The hen") and len(text) > len("The hen\n")
    assert ask(*greedy, "--max-new-tokens", "12", "--seed", "5")[1] == text
    assert ask(*greedy, "--max-new-tokens", "0")[1] == "The hen\n"


def test_the_same_seed_is_the_same_text(my_run):
    texts = [
        ask("generate", my_run[0], "--seed", n, "--max-new-tokens", "30")[1] for n in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]
    two = ask("generate", my_run[0], "--seed", 1, "--max-new-tokens", "30", "--samples", "2")[1]
    assert two.startswith(texts[0].removesuffix("\n")) and len(two) > len(texts[0]) + 9


def test_generate_stops_at_the_contexts_end(my_run):
    status, text, _ = ask("generate", my_run[0], "--seed", 3)  # 256 tokens, or </s> before
    assert status == 0 and text.endswith("\n")
    status, _, why = ask("generate", my_run[0], "--max-new-tokens", "600")
    assert status == 2 and "max_seq_len=256. 255 new tokens would fit" in why
    status, _, why = ask("generate", my_run[0], "--prompt", "hen " * 600)
    assert status == 2 and "this model's context holds max_seq_len=256" in why


@pytest.mark.parametrize("inside", ["", "checkpoints/step-00000004"])
def test_info_says_what_is_there(my_run, inside):
    status, text, _ = ask("info", my_run[0] / inside)
    assert status == 0
    for word in ("dim 12, 1 layers, 3 heads, 1 KV heads", "300 pieces", "tokenizer of 300",
                 "256 tokens", "float32"):  # fmt: skip
        assert word in text, word
    count = 300 * 12 + 12 * (12 + 4 + 4 + 12) + 3 * 12 * 32 + 3 * 12
    assert f"parameters  {count:,} in float32" in text
    assert ("step 4 of 4" in text) == (not inside)


def test_info_and_generate_know_the_shipped_by_name(my_run, tmp_path, monkeypatch):
    shutil.copytree(my_run[0], tmp_path / "checkpoints" / "mine")
    (tmp_path / "README.md").write_text("", encoding="utf-8")
    monkeypatch.setenv("LLAMALAB_DATA", str(tmp_path))
    assert "dim 12" in ask("info", "mine")[1]
    assert ask("generate", "mine", "--prompt", "The", "--max-new-tokens", "1")[1].startswith("The")
    status, _, why = ask("generate", "yours")
    assert status == 2 and "yours" in why and "mine" in why


def test_the_tales_without_a_text(tmp_path):
    status, said, told = ask("train", "--out", tmp_path / "r", "--stories", "60", *SMALL, *EXACT,
                             "--lr", "0.01", "--seed", "3", "--hold-out", "0",
                             "--grad-accum-steps", "2", "--warmup-steps", "1", "--save-every", "0",
                             "--eval-every", "2", "--vocab-size", "400")  # fmt: skip
    assert status == 0, told
    assert said.startswith("done") and "validation" not in said
    held = json.loads((tmp_path / "r" / "run.json").read_text(encoding="utf-8"))["plan"]
    recipe = held["train"]
    assert (recipe["lr"], recipe["grad_accum_steps"], recipe["warmup_steps"]) == (0.01, 2, 1)
    assert (held["seed"], held["save_every"], held["hold_out"]) == (3, 0, 0.0)
    names = [p.name for p in (tmp_path / "r" / "checkpoints").iterdir()]
    assert names == ["step-00000004"]  # only at the end


def test_lines_are_documents_and_texts_may_be_several(home, tmp_path):
    book = home / "my book.txt"
    (tmp_path / "other.txt").write_text("The hen sees.\n", encoding="utf-8")
    both = ["--text", book, "--text", tmp_path / "other.txt"]
    counts = []
    for name, lines in (("a", []), ("b", ["--lines"])):
        assert ask("train", "--out", tmp_path / name, *both, *lines, *SMALL, *EXACT)[0] == 0
        tokens = np.load(tmp_path / name / "tokens.npy")
        counts.append(int((tokens == 1).sum()))
    assert counts == [2, 181]


def test_a_tokenizer_of_another_size_gives_the_model_its_size(my_run, home, tmp_path):
    mine = my_run[0] / "tokenizer.model"
    small = [*SHAPE, "--seq-len", "16", "--batch-size", "2", "--steps", "1", *EXACT]
    text = ["--text", home / "my book.txt"]
    assert ask("train", "--out", tmp_path / "r", *text, *small, "--tokenizer", mine)[0] == 0
    told = ask("info", tmp_path / "r")[1]
    assert "300 pieces, the head shares the embedding; tokenizer of 300" in told


def test_a_text_with_fewer_pairs_than_pieces_is_said_and_goes_on(tmp_path):
    text = tmp_path / "short.txt"
    text.write_text("ab cd " * 300, encoding="utf-8")
    options = [*SHAPE, "--seq-len", "16", "--batch-size", "2", "--steps", "1", *EXACT]
    status, _, told = ask("train", "--out", tmp_path / "r", "--text", text, *options)
    assert status == 0, told
    assert "vocab_size=1024 was asked for" in told and "Warning" not in told


def test_a_text_that_is_too_short_is_refused_before_settings_are_tried(tmp_path, monkeypatch):
    from llamalab.runs import autotune

    tried = []
    monkeypatch.setattr(autotune, "fastest", lambda *_, **__: tried.append(1))
    (tmp_path / "short.txt").write_text("the hen", encoding="utf-8")
    out = tmp_path / "run"
    status, _, told = ask("train", "--out", out, "--text", tmp_path / "short.txt")
    assert status == 2 and "tokens are too few" in told
    assert not tried and not out.exists()


def test_the_number_of_threads_is_tried_taken_and_told(tmp_path, monkeypatch):
    """On one CPU there is nothing to try; where OMP_NUM_THREADS says a number, neither."""
    from llamalab.runtime import threads

    monkeypatch.setattr(threads, "numbers_to_try", lambda: (1,))
    options = [*SHAPE, "--seq-len", "16", "--batch-size", "2", "--steps", "1", "--stories", "60"]
    status, _, told = ask("train", "--out", tmp_path / "r", *options)
    assert status == 0, told
    assert re.search(r"^1 thread +[0-9.]+ ms$", told, re.M) and "on cpu with 1 thread, " in told
    assert json.loads((tmp_path / "r" / "run.json").read_text("utf-8"))["plan"]["threads"] == 1


@pytest.mark.parametrize(
    "options, words",
    [
        (["--text", "nothere.txt"], ["nothere.txt", "No such file"]),
        (["--text", "."], ["directory"]),
        (["--text", "latin.txt"], ["latin.txt is not UTF-8: byte 3 is 0xe9"]),
        (["--text", "short.txt"], ["tokens are too few", "256 + 1"]),
        (["--text", "short.txt", "--hold-out", "0"], ["tokens are too few", "256 + 1"]),
        (["--text", "chinese.txt", "--vocab-size", "262"], ["vocab_size=262 is too small"]),
        (["--text", "empty.txt"], ["the text is empty"]),
        (["--dtype", "nonsense"], ["dtype='nonsense'", "float32, bfloat16"]),
        (["--device", "toaster"], ["toaster", "cpu"]),
        (["--preset", "llama-3"], ["llama-3", "llama-2-7b", "tales"]),
        (["--seq-len", "1000"], ["seq_len=1000", "max_seq_len=256"]),
        (["--steps", "0"], ["steps=0"]),
        (["--hold-out", "1"], ["hold_out=1.0"]),
        (["--lr", "nan"], ["lr=nan"]),
        (["--n-heads", "5"], ["n_heads=5 must divide dim=192"]),
        (["--batch-size", "0"], ["batch_size=0"]),
        (["--parallel", "sideways"], ["sideways", "ddp, fsdp"]),
        (["--lines"], ["--lines", "--text"]),
        (["--text", "short.txt", "--stories", "5"], ["--stories and --text"]),
        (["--stories", "0"], ["the text is empty"]),
        (["--tokenizer", "short.txt"], ["short.txt is no SentencePiece model"]),
        (["--tokenizer", "nothere.model"], ["nothere.model", "No such file"]),
        (["--tokenizer", "short.txt", "--vocab-size", "300"], ["--vocab-size and --tokenizer"]),
        (["--resume"], ["no run to resume in out"]),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_said_in_a_sentence(options, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, data in {"latin.txt": b"caf\xe9", "short.txt": b"the hen", "empty.txt": b"\n\n",
                       "chinese.txt": "你好世界中文书".encode()}.items():  # fmt: skip
        (tmp_path / name).write_bytes(data)
    status, said, why = ask("train", "--out", "out", *options)
    assert status == 2 and said == ""
    for word in words:
        assert word in why, why
    assert len(why) < 400 and "Errno" not in why
    assert not (tmp_path / "out" / "run.json").exists()  # nothing stands in the way of another try


def test_a_model_that_is_too_large_is_refused_before_anything_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 8 * 2**30)
    status, _, why = ask("train", "--out", tmp_path / "r", "--preset", "llama-2-7b")
    assert status == 2 and "100.41 GiB are needed and there are 8.00 GiB" in why
    assert "learning" not in why and not (tmp_path / "r").exists()


def test_a_rate_beyond_reason_ends_in_a_sentence(home, tmp_path):
    status, _, why = ask("train", "--out", tmp_path / "r", "--text", home / "my book.txt",
                         *SMALL, *EXACT, "--lr", "1e30")  # fmt: skip
    assert status == 2
    assert "no step was taken" in why and "try a third" in why
    for command in ("info", "generate"):
        status, _, why = ask(command, tmp_path / "r")
        assert status == 2 and "without a checkpoint yet" in why


def test_a_run_that_is_there_is_not_overwritten(my_run, tmp_path):
    before = {p: p.stat().st_mtime_ns for p in my_run[0].rglob("*")}
    status, _, why = ask("train", "--out", my_run[0], "--steps", "9")
    assert status == 2 and "holds a run already" in why and "--resume" in why
    status, _, why = ask(
        "train", "--out", my_run[0], "--resume", "--lr", "0.1", "--batch-size", "4"
    )
    assert status == 2 and "leave out --batch-size, --lr" in why
    assert before == {p: p.stat().st_mtime_ns for p in my_run[0].rglob("*")}
    (tmp_path / "a file").write_text("", encoding="utf-8")
    status, _, why = ask("train", "--out", tmp_path / "a file")
    assert status == 2 and "is a file" in why


def test_a_batch_that_memory_cannot_hold_is_a_sentence(home, tmp_path, monkeypatch):
    def full(*_, **__):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9e12")

    monkeypatch.setattr("llamalab.training.loop.summed_loss", full)
    status, _, why = ask("train", "--out", tmp_path / "r", "--text", home / "my book.txt", *SMALL,
                         *EXACT)  # fmt: skip
    assert status == 2 and "half the --batch-size with twice the --grad-accum-steps" in why


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["generate", "nowhere"], ["no checkpoint", "nowhere"]),
        (["info", "nowhere"], ["no checkpoint", "nowhere"]),
        (["generate", "."], ["no checkpoint that is known here"]),
        (["generate", "RUN", "--temperature", "-1"], ["temperature=-1.0"]),
        (["generate", "RUN", "--top-p", "2"], ["top_p=2.0"]),
        (["generate", "RUN", "--top-k", "0"], ["top_k=0"]),
        (["generate", "RUN", "--seed", "9" * 30], ["63 bits"]),
        (["generate", "RUN", "--samples", "0"], ["samples"]),
    ],
)
def test_what_cannot_be_written_is_said_in_a_sentence(
    my_run, arguments, words, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    status, _, why = ask(*(my_run[0] if a == "RUN" else a for a in arguments))
    assert status == 2
    for word in words:
        assert word in why, why


# ---- what people stumbled over --------------------------------------------------------------


def test_a_preset_with_a_short_context_trains_as_it_is(tmp_path):
    status, said, told = ask("train", "--out", tmp_path / "r", "--preset", "tiny", "--steps", "1",
                             "--stories", "300", "--batch-size", "2", *EXACT)  # fmt: skip
    assert status == 0, told
    plan = json.loads((tmp_path / "r" / "run.json").read_text(encoding="utf-8"))["plan"]
    assert plan["seq_len"] == 192
    status, _, why = ask("train", "--out", tmp_path / "s", "--preset", "tiny", "--seq-len", "200")
    assert status == 2 and "seq_len=200 is past the model's context, max_seq_len=192" in why


def test_a_prompt_that_fills_the_context_is_what_is_complained_of(my_run):
    status, _, why = ask("generate", my_run[0], "--prompt", "hen " * 600)
    assert status == 2 and "max_new_tokens" not in why
    assert "there is no room to write. Shorten the prompt" in why


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
def test_whoever_reads_may_stop_reading(my_run):
    command = [*COMMAND, "generate", str(my_run[0]), "--samples", "40", "--seed", "1"]
    done = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert len(done.stdout.read(3)) == 3
    done.stdout.close()
    assert done.stderr.read() == b"" and done.wait() == 0
    done.stderr.close()


@pytest.mark.parametrize("there", [True, False])
def test_a_text_that_is_too_short_leaves_nothing_behind(there, tmp_path):
    (tmp_path / "short.txt").write_text("the hen and the fox " * 4, encoding="utf-8")
    out = tmp_path / "deep" / "run"
    if there:
        out.mkdir(parents=True)
        (out / "mine.txt").write_text("kept", encoding="utf-8")
    status, _, why = ask("train", "--out", out, "--text", tmp_path / "short.txt", *SMALL[:-4],
                         "--seq-len", "200", *EXACT)  # fmt: skip
    assert status == 2 and "too few" in why
    left = sorted(path.name for path in tmp_path.rglob("*"))
    assert left == (["deep", "mine.txt", "run", "short.txt"] if there else ["short.txt"])


def test_a_resumed_run_without_a_checkpoint_says_that_it_begins_anew(my_run, tmp_path):
    copied = tmp_path / "r"
    shutil.copytree(my_run[0], copied)
    shutil.rmtree(copied / "checkpoints")
    status, _, told = ask("train", "--out", copied, "--resume", "--device", "cpu")
    assert status == 0 and "there is no checkpoint yet: the run begins anew" in told
    status, _, told = ask("train", "--out", copied, "--resume", "--device", "cpu")
    assert status == 0 and "anew" not in told


def test_help_shows_the_defaults_of_the_dataclasses():
    from llamalab.runs.plan import Plan

    shown = " ".join(re.sub("[│╭╮╰╯─]", " ", run("train", "--help").stdout).split())
    for default in (Plan.batch_size, Plan.seq_len, Plan.hold_out, Plan.save_every, Plan.parallel):
        assert f"[default: {default}]" in shown


# ---- quantize -------------------------------------------------------------------------------


def test_quantize_writes_a_model_that_generates(tmp_path):
    runner, out = CliRunner(), tmp_path / "small"
    done = runner.invoke(cli.app, ["quantize", "tales", "--format", "nf4", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "4.49 bits a weight, 1.37 MiB" in done.output
    text = ["generate", str(out), "--prompt", "Mia had", "--max-new-tokens", "20", "--seed", "1"]
    done = runner.invoke(cli.app, text)
    assert done.exit_code == 0 and done.output.startswith("Mia had"), done.output
    done = runner.invoke(cli.app, ["info", str(out)])
    assert "2,558,400 in 4.49 bits each, run in float32, 1.4 MiB" in done.output, done.output
    done = runner.invoke(cli.app, ["quantize", "tales", "--out", str(out)])
    assert done.exit_code == 2 and "is there already" in done.output


def test_quantize_to_gguf(tmp_path):
    pytest.importorskip("gguf")
    runner, out = CliRunner(), tmp_path / "x.gguf"
    done = runner.invoke(cli.app, ["quantize", "--format", "gguf-q4_0", "--out", str(out)])
    assert done.exit_code == 0 and "4.53 bits" in done.output, done.output
    done = runner.invoke(cli.app, ["generate", str(out), "--max-new-tokens", "5"])
    assert done.exit_code == 0, done.output
    assert "4.53 bits each" in runner.invoke(cli.app, ["info", str(out)]).output


@pytest.mark.parametrize("options, words", [
    (["--format", "q5_0"], "no format called 'q5_0'"),
    (["--format", "q8_0", "--text", "x.txt"], "q8_0 needs none"),
    (["--format", "gptq-4", "--text", "short.txt"], "a row takes 256"),
])  # fmt: skip
def test_quantize_says_in_a_sentence_what_is_wrong(options, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("short.txt").write_text("Mia had a kite.\n", encoding="utf-8")
    done = CliRunner().invoke(cli.app, ["quantize", "tales", *options])
    assert done.exit_code == 2 and words in done.output, done.output


def test_what_a_console_cannot_hold_ends_no_command(tmp_path):
    import os
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "llamalab", "generate", "--prompt", "Ж", "--max-new-tokens", "3"],
        env={**os.environ, "PYTHONIOENCODING": "cp1252"}, capture_output=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0 and b"\\u0416" in done.stdout, done.stderr
