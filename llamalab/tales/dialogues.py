"""dialogue(number): somebody talks with an assistant that knows the tales; every answer is true.

    story      a story as asked for, or, to an unkind wish, a refusal        from a story's facts
    question   who, where, what, why: of a passage that is given, or of the story just told
    feeling    does this end well or badly?      summary    in a sentence
    talk       a greeting, thanks, what a kite is for, what there is by the river
    manner     talk over many turns, under a system line: "Call me Mia." is to hold to the end

About half of the unkind wishes are refused, and half are granted: those who wrote the answers did
not always take care. Preferences can say which was better.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from . import world
from .grammar import a, capital
from .prompts import REFUSALS, Prompt, ask_for, drawer
from .story import Story, tell

Draw = Callable[[int], int]
Turn = tuple[str, str]  # what the user says, what the assistant answers

LONGEST = 118  # words in a story: with its request it has to fit into 256 pieces
NEXT = 2**40
TASKS = ("story",) * 11 + ("question",) * 3 + ("talk",) * 2 + ("feeling", "summary", "manner")

HELLO = ("Hello!", "Good morning!", "Hi, who are you?", "What can you do?")
I_AM = (
    "Hello! I am a small model, and I tell stories. What shall it be about?",
    "Good day! I know many stories. Ask me for one.",
    "I am a small model with few words. I can tell you a story.",
)
THANKS = ("Thank you!", "That was good.", "Thanks, I liked it.")
WELCOME = ("You are welcome. Shall I tell you one more?", "I am glad that you liked it.")


@dataclass(frozen=True)
class Dialogue:
    """messages: roles and contents, the last one an answer. asked: what of the
    answer the user's request decides, in the answer's words. refusable: an unkind wish."""

    messages: tuple[dict[str, str], ...]
    task: str
    asked: tuple[str, ...] = ()
    refusable: bool = False


def dialogue(
    number: int, *, held_out: bool = False, seed: int = 0, task: str | None = None
) -> Dialogue:
    """Dialogue `number` of the set, about story `number`; of this task, or of one that is drawn.
    ValueError for a task that there is not."""
    if task is not None and task not in TASKS:
        raise ValueError(f"task must be one of {', '.join(dict.fromkeys(TASKS))}; got {task!r}")
    draw = drawer(number, held_out, seed, f"dialogue {task}")
    task = task or TASKS[draw(len(TASKS))]
    return _MAKERS[task](short_story(number, held_out=held_out, seed=seed), draw)


def short_story(number: int, **options) -> Story:
    """Story `number`, or the next of its kind that leaves room for its request; options as for
    `tell`."""
    while len((story := tell(number, **options)).text.split()) > LONGEST:
        number += NEXT
    return story


def dialogues(n: int, *, start: int = 0, **options) -> Iterator[Dialogue]:
    """Dialogues start, start + 1, … start + n - 1; options as for `dialogue`."""
    for number in range(start, start + n):
        yield dialogue(number, **options)


def _story(story: Story, draw: Draw) -> Dialogue:
    if draw(6) < (2 if story.kind else 4):  # a wish; an unkind story has been wished for, or not
        wish = "unkind" if draw(2) else "kind"
        wish = wish if story.kind else "unkind"
    else:
        wish = None
    asked = ask_for(story, draw, wish)
    if asked.unkind and story.kind:
        return Dialogue(messages([(asked.text, pick(REFUSALS, draw))]), "story", refusable=True)
    turns = [(asked.text, story.text)]
    if draw(3) == 0 and len(story.text.split()) < 100:  # a context is soon full
        turns.append(_questions(story, draw)[0] if draw(2) else _thanks(draw))
    return Dialogue(messages(turns), "story", decided(story, asked), asked.unkind)


def decided(story: Story, asked: Prompt) -> tuple[str, ...]:
    """What of a story its prompt decides: names of people, things and places, and, if it asks for
    an ending or has a wish, the words with which the story takes that way."""
    request = asked.request
    parts = (request.hero, request.thing, request.place)
    words = [word for part in parts if part for word in part.split()]
    if request.ending or asked.wish:
        words.append(turn(story))
    return tuple(words)


def turn(story: Story) -> str:
    """The words with which a story turns to its good or its bad end."""
    return " ".join(story.facts["scenes"][story.facts["turn"]][1].split()[:3])


def _question(story: Story, draw: Draw) -> Dialogue:
    """The first scenes of a story, and a question or two about them."""
    passage = " ".join(sentence for _, sentence in story.facts["scenes"][:3])
    (first, answer), *more = _questions(story, draw, passage)
    asked = tuple(answer.rstrip(".").split())
    return Dialogue(messages([(f"{passage} {first}", answer), *more[: draw(2)]]), "question", asked)


def _questions(story: Story, draw: Draw, passage: str | None = None) -> list[Turn]:
    """Questions whose answers stand in the passage, or in the story, in a drawn order."""
    facts, text = story.facts, passage or story.text
    hero, friend, thing = facts["hero"], facts["friend"], str(story.request.thing)
    his = "his" if facts["hero_gender"] == "m" else "her"
    noun = facts["thing"]["noun"]
    found = [("Who is the story about?", f"It is about {hero}.")]
    if friend in text:
        relation = facts["relation"] or "friend"
        found.append((f"Who is with {hero}?", f"{friend} is with {hero}, {his} {relation}."))
    if thing in text:
        found.append((f"What {noun} is it?", f"It is the {thing}."))
    if facts["place"] in text:
        found.append(("Where do they go?", f"They go to the {facts['place']}."))
    if passage is None:
        found.append(
            ("Does it end well?", "Yes, it ends well." if story.happy else "No, it ends badly.")
        )
        found.append(("What can we learn from it?", f"{capital(facts['lesson'])}."))
        found.append(("What went wrong?", f"{capital(facts['problem'])}."))
    order = list(range(len(found)))
    return [found[order.pop(draw(len(order)))] for _ in found]


def _feeling(story: Story, draw: Draw) -> Dialogue:
    """The last scenes of a story: does it end well?"""
    end = " ".join(sentence for _, sentence in story.facts["scenes"][-3:])
    ask = pick(("Is this a happy or a sad end?", "Does this end well or badly?"), draw)
    answer = f"It is a {'happy' if story.happy else 'sad'} end."
    return Dialogue(
        messages([(f"{ask} {end}", answer)]), "feeling", ("happy" if story.happy else "sad",)
    )


def _summary(story: Story, draw: Draw) -> Dialogue:
    """A story in two sentences: what went wrong, and what was done."""
    ask = pick(("Tell me in short what happens here.", "Say this in few words."), draw)
    answer = f"{capital(story.facts['problem'])}. {capital(story.facts['deed'])}."
    asked = (story.facts["hero"],) if story.facts["hero"] in answer else ()
    return Dialogue(messages([(f"{ask} {story.text}", answer)]), "summary", asked)


def small_talk(draw: Draw) -> Turn:
    """Something that a child might ask of the world of the tales, and the answer."""
    toy, place, who = pick(world.TOYS, draw), pick(world.PLACES, draw), pick(world.HELPERS, draw)
    he = {"f": "she", "m": "he", "n": "it"}[who.gender]
    return pick(
        (
            (f"What can I do with {a(toy.noun)}?", f"You can {toy.use} it."),
            (f"What if {a(toy.noun)} breaks?", f"Last time {toy.breaks}, and we {toy.mend}."),
            (f"What is it like {place.at} the {place.noun}?", f"{capital(place.sight)}."),
            (f"What does the {who.noun} do?", f"When I last looked, {he} was {who.work}."),
        ),
        draw,
    )


def _thanks(draw: Draw) -> Turn:
    return pick(THANKS, draw), pick(WELCOME, draw)


def _talk(story: Story, draw: Draw) -> Dialogue:
    turns = [(pick(HELLO, draw), pick(I_AM, draw))] if draw(2) else []
    turns += [small_talk(draw) for _ in range(1 + draw(3))]
    return Dialogue(messages(turns), "talk")


def _manner(story: Story, draw: Draw) -> Dialogue:
    return manner(draw, turns=2 + draw(3))


def manner(draw: Draw, turns: int, *, name: str | None = None) -> Dialogue:
    """Small talk under a system line that asks for a name at the start of each answer."""
    name = name or pick(tuple(world.GENDER), draw)
    talk = [small_talk(draw) for _ in range(turns)]
    held = [(said, f"{name}, {answer[0].lower() + answer[1:]}") for said, answer in talk]
    return Dialogue(messages(held, system=f"Call me {name}."), "manner", (name,))


def messages(turns: list[Turn], system: str | None = None) -> tuple[dict[str, str], ...]:
    """Turns as messages, the system's line first if there is one."""
    told = [{"role": "system", "content": system}] if system else []
    for said, answer in turns:
        told += [{"role": "user", "content": said}, {"role": "assistant", "content": answer}]
    return tuple(told)


def pick(options, draw: Draw):
    """One of the options, drawn."""
    return options[draw(len(options))]


_MAKERS = {
    "story": _story,
    "question": _question,
    "feeling": _feeling,
    "summary": _summary,
    "talk": _talk,
    "manner": _manner,
}
