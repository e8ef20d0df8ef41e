"""A wish: something is for sale, and there is no money."""

# ruff: noqa: E501, a sentence is read whole

from .shape import Branch, Plot, scene

WISH = Plot(
    name="wish",
    owns=False,
    picks={
        "cause": (
            "{he} had no money",
            "it cost ten coins, and {he} had three",
            "{he} had spent all {his} money",
            "{his} purse was empty",
        ),
    },
    problem="{H} wanted {a_thing}",
    cause="{cause}",
    begin=(
        scene("go"),
        scene(
            "event",
            "there {a_helper} was selling all kinds of things. Among them was {a_thing}.",
            "{a_helper} sat there with {a_thing} for sale.",
            '"who wants {a_thing}?" called {a_helper}.',
        ),
        scene(
            "want",
            "{H} could not take {his} eyes off it. But {he} could not buy it, because {cause}.",
            "{H} wanted it so much! But {cause}.",
            '"if only it were mine," said {H}. It could not be, because {cause}.',
        ),
        scene(
            "feeling?",
            "{H} was {low}.",
            "with hanging head {H} turned to {F}. {He} was {low}.",
            "",
        ),
    ),
    ways=(
        Branch(
            name="works for it",
            kind=True,
            happy=True,
            deed="{H} worked for {helper} to earn the {thing}",
            doer="H",
            receiver="O",
            lessons=(
                "what we have earned is twice as dear",
                "patience gets there in the end",
            ),
            scenes=(
                scene(
                    "turn",
                    '"then work for it," said {role}. "I need help."',
                    '"can I work for the {noun}?" asked {H}. {Role} nodded.',
                    "that night {H} had an idea. In the morning {he} asked {role} for work.",
                ),
                scene(
                    "deed",
                    "so {H} helped {role} for [three|five|seven] days, and swept and carried and never complained.",
                    "every day after school {H} helped {role}, and {F} came to help, too.",
                    "for a whole month {H} helped {role} in the early morning, and {F} never let {him} go alone.",
                ),
                scene(
                    "result",
                    'at the end of the week {role} said: "It is yours." And {H} held the {thing} in {his} arms.',
                    'at last {role} put the {thing} into {his} hands. "Well earned," {ohe} said.',
                ),
                scene(
                    "event",
                    "{F} got the first turn.",
                    "all the way home {H} {used} the {thing}, and {F} danced around {him}.",
                    "",
                ),
            ),
        ),
        Branch(
            name="steals it",
            kind=True,
            happy=True,
            deed="{H} stole the {thing} and gave it back",
            doer="H",
            receiver="O",
            lessons=(
                "stolen things are a heavy load",
                "it is hard to give back, but it feels good",
            ),
            scenes=(
                scene(
                    "deed",
                    "then {he} did a bad thing. When {role} was not looking, {H} stole the {thing}.",
                    "late that evening {H} crept back and stole the {thing}.",
                    "{role} turned away, and {H} stole the {thing} and ran.",
                ),
                scene(
                    "feeling",
                    "but {he} could not {use} it, for everyone would have seen. {He} was ashamed.",
                    '"that was wrong," said {F}. And {H} knew it.',
                ),
                scene(
                    "turn",
                    '{H} went back, red in the face. "I am sorry," {he} said, and gave the {thing} back to {role}.',
                    'so {he} carried the {thing} back to {role}. "I stole it," {he} said, "and I am sorry."',
                    'it took a long night. Then {H} gave the {thing} back. "I am sorry," {he} said to {role}.',
                ),
                scene(
                    "result",
                    '{role} looked at {him} for a long time, and forgave {him}. "Come and help me, and we will see," {ohe} said.',
                    '"that was brave," said {role}, and forgave {him}.',
                ),
            ),
        ),
        Branch(
            name="friend buys it",
            kind=True,
            happy=True,
            deed="{F} gave the {thing} to {H}",
            doer="F",
            receiver="H",
            lessons=(
                "the best things cannot be bought",
                "a good friend listens to our wishes",
            ),
            scenes=(
                scene(
                    "turn",
                    "{F} said nothing, but went home and emptied {fhis} own money box.",
                    "the next day {F} was nowhere to be found. {Fhe} was out selling {food}.",
                ),
                scene(
                    "deed",
                    "that evening {F} stood at the door and gave {H} the {thing}.",
                    "a week later {F} gave {H} the {thing}, tied up with a ribbon.",
                    '"close your eyes," said {F} some days later, and gave {H} the {thing}.',
                ),
                scene(
                    "talk?",
                    '"but you saved that money for yourself!" said {H}. "I saved it for something good," said {F}.',
                    '"why did you do that?" asked {H}. "Because you are my {friend}," said {F}.',
                ),
                scene(
                    "result?",
                    "they {used} the {thing} together until it was dark.",
                    "{H} hugged {F} and thanked {fhim} a hundred times.",
                ),
            ),
        ),
        Branch(
            name="sold to another",
            kind=True,
            happy=False,
            deed="{F} comforted {H}",
            doer="F",
            receiver="H",
            lessons=(
                "not every wish comes true",
                "wishing alone fills no purse",
            ),
            scenes=(
                scene(
                    "turn",
                    "{H} saved coin after coin for a month. But when {he} came back, the {thing} was sold.",
                    "before {he} could think of a plan, a rich man bought the {thing}.",
                    "{H} ran home to beg for money. But when {he} came back, somebody else had bought the {thing}.",
                ),
                scene(
                    "talk?",
                    '"I am sorry, child," said {role}. "It is gone."',
                    "{role} could only shake {ohis} head.",
                ),
                scene(
                    "deed",
                    "{F} comforted {him} and [walked home with {him}|gave {him} some {food}].",
                    '"we will make one ourselves," said {F}, and comforted {H}.',
                ),
                scene(
                    "result?",
                    "but {H} went on thinking of the {thing}.",
                    "they tried to make one out of sticks and paper, but it was not the same.",
                ),
            ),
        ),
    ),
)
