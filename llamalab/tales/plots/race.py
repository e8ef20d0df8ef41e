"""Race: there is a prize, and the friend falls."""

# ruff: noqa: E501, a sentence is read whole

from .shape import Branch, Plot, scene

RACE = Plot(
    name="race",
    owns=False,
    picks={
        "cause": (
            "{fhe} stepped into a hole",
            "{fhe} looked back for a moment",
            "a stone lay in the way",
            "the path was wet",
        ),
    },
    problem="{F} fell in the race",
    cause="{cause}",
    begin=(
        scene("go"),
        scene(
            "want",
            "there was to be a race that day. The prize was {a_thing}.",
            "{a_helper} had put up a prize for the fastest runner: {a_thing}.",
            '"whoever is first at the big tree gets this," said {a_helper}, and held up {a_thing}.',
        ),
        scene(
            "talk?",
            '"I will win!" said {H}. "We shall see," said {F}.',
            "{H} wanted that {noun} very much, and so did {F}.",
            '"good luck," said {F}. "Good luck to you, too," said {H}.',
        ),
        scene(
            "event",
            "off they went. {H} and {F} ran side by side, until {F} fell, because {cause}.",
            "one, two, three, go! They ran like the wind. Then {F} fell, because {cause}.",
            "at first {F} was ahead. But then {F} fell, because {cause}.",
        ),
    ),
    ways=(
        Branch(
            name="hero stops",
            kind=True,
            happy=True,
            deed="{H} stopped and helped {F}",
            doer="H",
            receiver="F",
            lessons=(
                "a friend matters more than a prize",
                "one can lose a race and still win",
            ),
            scenes=(
                scene(
                    "turn",
                    "the way to the {thing} was open. But {H} stopped.",
                    "{H} heard a cry and turned round.",
                ),
                scene(
                    "deed",
                    '"are you hurt?" asked {H}, and helped {F} up.',
                    "{H} knelt down, tied a cloth around the knee, and helped {F} to walk.",
                ),
                scene(
                    "event",
                    "somebody else won the race. {H} did not mind.",
                    "they came in last, arm in arm, and all the people clapped.",
                ),
                scene(
                    "result?",
                    'and who got the {thing}? They did. "This is for the kindest," said the people.',
                    '"you gave up the {noun} for me," said {F}. "I would do it again," said {H}.',
                ),
            ),
        ),
        Branch(
            name="hero runs on",
            kind=False,
            happy=False,
            deed="{H} laughed at {F} and ran on",
            doer="H",
            receiver="F",
            lessons=(
                "a prize is cold without a friend",
                "a win can taste bitter",
            ),
            scenes=(
                scene(
                    "deed",
                    "{H} laughed at {F} and ran on.",
                    '"too bad for you!" called {H}. {He} laughed at {F} and did not stop.',
                ),
                scene(
                    "result",
                    "{H} won the {thing}. But nobody clapped.",
                    "the {thing} belonged to {H} now. Yet the joy was small.",
                    "so {H} got the {thing}. {He} looked for {F}, to show it.",
                ),
                scene(
                    "turn",
                    "{F} had gone home with a sore knee, without a word.",
                    "but {F} turned away and went home on another path.",
                ),
                scene(
                    "feeling?",
                    "the {noun} was light, and yet it was heavy in {H}'s hands.",
                    "{H} {used} the {thing} once, and then never again.",
                ),
            ),
        ),
        Branch(
            name="hero pushed",
            kind=True,
            happy=True,
            deed="{H} pushed {F} and then said sorry",
            doer="H",
            receiver="F",
            lessons=(
                "a stolen win is no win",
                "the truth makes the heart light",
            ),
            scenes=(
                scene(
                    "deed",
                    "or so it seemed. In truth {H} had pushed {F} in the crowd.",
                    "but {H} knew better. {He} had pushed {F}.",
                    "nobody had seen it, but {H} had pushed {F} a little.",
                ),
                scene(
                    "event",
                    "{H} won the {thing}, and the people cheered.",
                    "{H} came in first and got the {thing}.",
                ),
                scene(
                    "feeling?",
                    "but the prize burned in {his} hands. {He} was {low}.",
                    "{H} was {low}, for {he} thought of {F}.",
                ),
                scene(
                    "turn",
                    '"I pushed you," {he} said to {F}. "I am sorry. This {noun} is yours." And {he} gave {F} the {thing}.',
                    '{He} went to {F} and told the truth. "I am sorry," {he} said, and gave {F} the {thing}.',
                    'before everyone {he} said: "I pushed {F}. I am sorry." Then {he} gave {F} the {thing}.',
                ),
                scene(
                    "result",
                    '{F} thought for a while. "We can both {use} it," {fhe} said, and forgave {H}.',
                    "{F} forgave {him}, and next time they ran a fair race.",
                ),
            ),
        ),
        Branch(
            name="fair race",
            kind=True,
            happy=True,
            deed="{H} and {F} ran a fair race and shared the {thing}",
            doer="H",
            receiver="F",
            lessons=(
                "a fair race makes better friends",
                "to lose well is a kind of winning",
            ),
            scenes=(
                scene(
                    "turn",
                    "but {F} jumped up again and ran on.",
                    "{F} got up at once, brushed off the dust and ran after {H}.",
                    '"run, {H}, I am not hurt!" called {F}.',
                ),
                scene(
                    "event",
                    "{H} was first at the tree, and {F} came second.",
                    "in the end it was {F} who won, by the tip of a nose.",
                ),
                scene(
                    "deed",
                    "the winner got the {thing}, and shared it with the other all summer.",
                    "they shared the {thing}, for it had been a fair race.",
                ),
                scene(
                    "result?",
                    '"again tomorrow?" asked {F}. "Again tomorrow," said {H}.',
                    "{H} shook hands with {F}, and both laughed.",
                    '"you are fast," said {F}. "You are faster than last year," said {H}.',
                ),
            ),
        ),
    ),
)
