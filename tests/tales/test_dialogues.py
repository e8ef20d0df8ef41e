"""Dialogues: every answer is true, roles take turns, and what is decided stands in the answer."""

import collections

import pytest

from llamalab.tales import judge, tell, world
from llamalab.tales.dialogues import LONGEST, TASKS, dialogue, dialogues, manner, messages
from llamalab.tales.prompts import drawer, refuses

MANY = list(dialogues(600))


def answers(told):
    return [message["content"] for message in told.messages if message["role"] == "assistant"]


def test_the_same_every_time_and_another_for_each_set_and_seed():
    assert MANY[:30] == list(dialogues(30)) and MANY[5:9] == list(dialogues(4, start=5))
    assert MANY[:30] != list(dialogues(30, seed=1)) != list(dialogues(30, held_out=True))


def test_roles_take_turns_and_the_last_word_is_an_answer():
    for told in MANY:
        roles = [message["role"] for message in told.messages]
        turns = roles[roles[0] == "system" :]
        assert turns == ["user", "assistant"] * (len(turns) // 2) and turns
        assert all(m["content"].strip() == m["content"] != "" for m in told.messages)
        assert not any("{" in m["content"] or "None" in m["content"] for m in told.messages)


def test_every_task_occurs_and_can_be_asked_for():
    assert {told.task for told in MANY} == set(TASKS)
    for task in set(TASKS):
        assert {told.task for told in dialogues(5, task=task)} == {task}
    with pytest.raises(ValueError, match="task must be one of story, question.*got 'poem'"):
        dialogue(0, task="poem")


def test_what_the_request_decides_stands_in_the_answer():
    for told in MANY:
        said = " ".join(answers(told))
        for words in told.asked:
            assert words in said, (words, said)


def test_stories_do_as_they_are_asked_and_fit():
    for told in dialogues(200, task="story"):
        first = answers(told)[0]
        if refuses(first):
            assert told.refusable and not told.asked
            continue
        assert len(first.split()) <= LONGEST
        verdict = judge(first)
        assert verdict.whole and verdict.consistent
        if told.refusable:  # an unkind wish that was granted
            assert verdict.kindness < 0


def test_unkind_wishes_are_refused_about_half_of_the_time():
    asked = [told for told in dialogues(1500, task="story") if told.refusable]
    refused = sum(refuses(answers(told)[0]) for told in asked) / len(asked)
    assert len(asked) > 200 and 0.3 < refused < 0.6


def test_nobody_refuses_what_is_kind():
    for told in MANY:
        if not told.refusable:
            assert not any(map(refuses, answers(told)))


def test_answers_to_questions_are_true():
    for number in range(200):
        told = dialogue(number, task="question")
        passage, answer = told.messages[0]["content"], told.messages[1]["content"]
        if answer.startswith("It is about"):
            assert answer == f"It is about {story_of(number).facts['hero']}."
        if answer.startswith("They go to"):
            assert answer.removeprefix("They go to the ").rstrip(".") in passage
    for number in range(60):
        told, story = dialogue(number, task="feeling"), story_of(number)
        assert (told.asked == ("happy",)) == story.happy


def story_of(number):
    """The story behind a dialogue: the first of its number that is short enough."""
    while len((story := tell(number)).text.split()) > LONGEST:
        number += 2**40
    return story


def test_small_talk_tells_what_the_world_holds():
    uses = {f"You can {toy.use} it." for toy in world.TOYS}
    said = collections.Counter(a for told in dialogues(300, task="talk") for a in answers(told))
    assert sum(said[use] for use in uses) > 30


def test_a_manner_is_held_in_every_turn():
    for number in range(20):
        told = manner(drawer(number, False, 0, "test"), turns=5)
        name = told.asked[0]
        assert told.messages[0] == {"role": "system", "content": f"Call me {name}."}
        assert len(answers(told)) == 5 and all(a.startswith(f"{name}, ") for a in answers(told))
    assert manner(drawer(0, False, 0, "test"), turns=1, name="Zoe").asked == ("Zoe",)


def test_messages_in_order():
    assert messages([("a", "b"), ("c", "d")], system="s") == (
        {"role": "system", "content": "s"},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d"},
    )
