"""The pictures of notebook 11 say what is so, and the growing curves leave nothing behind."""

import math
from types import SimpleNamespace

import pytest

from llamalab.course.figures import monitor as growing
from llamalab.course.figures import palette
from llamalab.course.lessons.nb11 import figures as draw
from llamalab.course.lessons.nb11 import measured


def look(iteration, kl, judge):
    return {"iteration": iteration, "kl": kl, "judge": judge, "words": 90.0,
            "false_refusals": 0.03}  # fmt: skip


def run(shift, every=2):
    records = [{"iteration": i, "score": 0.1 * i + shift, "seconds": 5.0} for i in range(1, 7)]
    looks = [look(i, 0.5 * i, 0.5 + 0.02 * i + shift) for i in range(0, 7, every)]
    return {"looks": looks, "records": records, "samples": [["asked this", "told that"]],
            "seconds": 30.0}  # fmt: skip


RUNS = [run(0.0), run(0.1), run(0.05, every=3)]
DPO = {
    "looks": [{"step": step, "kl": step / 32, "judge": 0.5 + step / 640} for step in (32, 64)],
    "losses": [[1, 0.69, 0.5], [64, 0.6, 0.7]],
    "seconds": 40.0,
}


def best_of_n(a=0.2, b=0.05):
    points = [{"n": n, "kl": math.log(n) - (n - 1) / n} for n in (1, 2, 8, 64)]
    return [
        {**point, "judge": 0.5 + a * point["kl"] ** 0.5 - b * point["kl"]} for point in points
    ]  # fmt: skip


def test_the_estimators_meet_at_0_and_k1_alone_goes_below():
    lines = [line for line in draw.estimators().axes.get_lines() if len(line.get_xdata()) > 2]
    lowest = [float(min(line.get_ydata())) for line in lines]
    assert lowest[0] == pytest.approx(-1.6) and min(lowest[1:]) >= 0
    for line in lines:
        assert float(line.get_ydata()[80]) == pytest.approx(0, abs=1e-6)


def test_the_score_is_said_to_stand_on_the_last_token_alone():
    fig = draw.paid(["a", "b", "</s>"], [-0.1, 0.2, 0.0], 1.5)
    assert "+1.5, to </s>" in fig.alt and "b +0.20" in fig.alt
    said = [text.get_text() for text in fig.axes.texts]
    assert "score +1.5" in said and "-0.10" in said


@pytest.mark.parametrize(
    "lam, expected", [(0.0, (0.3, 0.1, 0.4)), (0.5, (0.45, 0.3, 0.4)), (1.0, (0.8, 0.5, 0.4))]
)
def test_the_advantages_are_those_of_the_lesson(lam, expected):
    fig = draw.advantages_figure([0.0, 0.0, 1.0], [0.2, 0.5, 0.6], lam)
    bars = [bar.get_height() for bar in fig.axes[1].containers[0]]
    assert bars == pytest.approx(expected, abs=1e-6)
    play = draw.advantages_explorer([0.0, 0.0, 1.0], [0.2, 0.5, 0.6])
    play.widget.lam.value = lam
    assert f"is {expected[0]:.2f}" in play.widget.words.value


def test_the_clip_is_flat_on_the_right_side_only():
    good, bad = (
        next(line for line in axes.get_lines() if line.get_color() == palette.POLICY)
        for axes in draw.clip_panels(0.2).axes
    )
    assert max(good.get_ydata()) == pytest.approx(1.2)
    assert float(bad.get_ydata()[0]) == pytest.approx(-0.8)
    assert min(bad.get_ydata()) == pytest.approx(-1.8)


def test_the_growing_curves_keep_up_and_leave_nothing_in_the_stored_output():
    monitor = draw.Monitor(3)
    widget = monitor.widget
    monitor.add(SimpleNamespace(iteration=1, score=-0.5, kl=0.0), "<b>told</b>")
    assert "score: -0.50" in widget.picture.value and widget.bar.value == 1
    assert "&lt;b&gt;told" in widget.words.value
    assert "told" not in monitor.html and "score:" not in monitor.html


def test_a_band_goes_over_the_places_that_all_seeds_share():
    fig = measured.score_and_judge(RUNS, "A claim.")
    judged = fig.axes[1].get_lines()[-1]
    assert list(judged.get_xdata()) == [0, 6]
    assert list(judged.get_ydata()) == pytest.approx([0.55, 0.67])
    assert "3 seeds" in fig.alt


def test_the_slider_goes_over_looks_and_says_whose_answer_is_shown():
    lab = measured.hacking_explorer(RUNS[0])
    lab.widget.place.value = 1
    assert lab.widget.words.value.startswith("iteration 2: score +0.15, judge 0.54")
    assert "answered, iteration 6" in lab.widget.more.value
    kept = run(0.0)
    kept["looks"][1]["sample"] = ["asked", "told then"]
    lab = measured.hacking_explorer(kept, 1)
    assert "answered, iteration 2" in lab.widget.more.value and "told then" in lab.html


def test_every_place_of_the_slider_shows_its_own_two_answers():
    kept = run(0.0)
    for place, one in enumerate(kept["looks"]):
        one["sample"] = [["kind?", f"kind {place}"], ["unkind?", f"unkind {place}"]]
    lab = measured.hacking_explorer(kept)
    for place, one in enumerate(kept["looks"]):
        lab.widget.place.value = place
        shown = lab.widget.more.value
        assert f"</b>kind {place}</p>" in shown and f"</b>unkind {place}</p>" in shown
        assert shown.count(f"iteration {one['iteration']}:") == 2
        assert f"mark at {one['iteration']}." in lab.widget.picture.value


def test_the_judges_best_look_is_the_first_of_equals_and_what_came_since_is_counted():
    one = run(0.0)
    for at, judged in zip(one["looks"], (0.5, 0.7, 0.7, 0.4)):
        at["judge"] = judged
    assert measured.best_look(one) == 1
    score, judge = measured.since_best(one)
    assert judge == pytest.approx(-0.3)
    assert score == pytest.approx(0.5 - 0.15)  # means of iterations 4 to 6, and of 1 and 2
    assert measured.since(one, 0) == (pytest.approx(0.5 - 0.1), pytest.approx(-0.1))
    rings = (
        measured.score_and_judge([one, *RUNS[:1]], "A claim.", rings=True).axes[1].get_lines()[-1]
    )
    assert list(rings.get_xdata()) == [2, 6] and list(rings.get_ydata()) == [0.7, 0.62]


def test_seconds_are_those_of_the_training_behind_each_look():
    assert measured.seconds_at_looks(RUNS[0]) == [0.0, 10.0, 20.0, 30.0]
    assert measured.seconds_at_looks(DPO) == [20.0, 40.0]
    assert [measured.within(RUNS[0], seconds) for seconds in (0, 9, 10, 29.9, 30, 100)] == [
        0, 0, 1, 2, 3, 3,
    ]  # fmt: skip
    assert measured.within(DPO, 30) == 0


def test_best_of_n_and_ppo_are_fitted_and_all_three_roads_count_from_the_chat_model():
    fig = measured.frontier(best_of_n(), RUNS, [DPO])
    assert "best of N's curve: d (0.20 - 0.05 d)" in fig.alt
    assert "PPO's curve: d (" in fig.alt and "ln d)" in fig.alt
    assert "DPO highest at +0.10, KL 2.0" in fig.alt
    assert {"best of N", "PPO", "DPO", "the chat model"} <= {t.get_text() for t in fig.axes.texts}
    lowest = {line.get_color(): min(line.get_ydata()) for line in fig.axes.get_lines()}
    assert lowest[palette.FAINT] == pytest.approx(0, abs=1e-6)


def test_gains_are_of_answers_drawn_as_best_of_n_draws_them_where_that_is_known():
    hot = run(0.0)
    for place, one in enumerate(hot["looks"]):
        one["judge_hot"] = 0.4 + 0.1 * place
    assert [gain for _, gain in measured.gains(hot)] == pytest.approx([0, 0.1, 0.2, 0.3])
    assert measured.gains(hot, 0.5)[0] == (0.0, pytest.approx(-0.1))


def test_at_equal_cost_roads_that_train_are_lines_and_best_of_n_is_a_level():
    fig = measured.equal_cost(best_of_n(), RUNS, [DPO])
    said = {text.get_text() for text in fig.axes.texts}
    levels = {"best of 2", "best of 8", "best of 64", "the chat model"}
    assert said == {"PPO", "DPO", "all had 30 s", *levels}
    assert "30 s, which all had" in fig.alt and "DPO ends at +0.10." in fig.alt
    dpo = [line for line in fig.axes.get_lines() if line.get_color() == palette.PINK]
    assert list(dpo[0].get_xdata()) == [0, 20, 40]
    assert list(dpo[0].get_ydata()) == pytest.approx([0, 0.05, 0.1])


def test_the_tables_say_where_each_run_began_and_ended():
    for one in RUNS:
        one["against_chat"] = {"wins": 6, "losses": 2, "ties": 4, "win_rate": 0.75}
        for at in one["looks"]:
            at["refused"] = 0.5
    first = measured.duels(RUNS).rows[0]
    assert first == (
        "0",
        "6",
        "3.0",
        "0.50 → 0.62",
        "75% (6 : 2, 4 tied)",
        "50% → 50%",
        "3% → 3%",
        "30",
    )
    assert measured.chased(RUNS).rows[0] == (
        "0", "6 of 6", "0.62 → 0.62", "+0.00", "3", "90 → 90", "3% → 3%",
    )  # fmt: skip


def test_the_roads_count_from_the_chat_model_and_cost_is_that_of_the_shortest_run():
    rows = dict((row[0], row[1:]) for row in measured.roads(best_of_n(), RUNS, [DPO]).rows)
    assert rows["PPO, seed 1"] == ("3.0", "+0.12") and rows["DPO, seed 0"] == ("2.0", "+0.10")
    assert rows["best of 2"][0] == "0.2"
    slow = {**DPO, "seconds": 60.0}
    rows = dict((row[0], row[1:]) for row in measured.at_cost(best_of_n(), RUNS, [slow]).rows)
    assert rows["PPO, seed 0"] == ("30", "1", "3.0", "+0.12")
    assert rows["DPO, seed 0"] == ("30", "1", "1.0", "+0.05")
    assert rows["best of 8"][:2] == ("0", "8") and rows["the chat model"][-1] == "+0.00"


def test_the_curve_of_best_of_n_says_where_it_turns_or_that_it_does_not():
    assert "d (0.20 - 0.05 d), highest at d = 2.0" in measured.turning(best_of_n())
    assert "never turns" in measured.turning(best_of_n(0.2, -0.05))


def test_a_long_sample_is_cut_at_a_word():
    assert draw.short("one two") == "one two"
    cut = draw.short("word " * 200)
    assert cut.endswith("word …") and len(cut) <= growing.SHOWN + 2
