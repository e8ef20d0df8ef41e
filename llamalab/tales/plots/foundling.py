"""The foundling: an animal sits there all alone."""

# ruff: noqa: E501, a sentence is read whole

from .shape import Branch, Plot, scene

FOUNDLING = Plot(
    name="foundling",
    owns=True,
    picks={
        "cause": (
            "it had lost its mother",
            "it had hurt its leg",
            "it had not eaten for days",
            "a storm had carried it away from home",
        ),
    },
    problem="{animal} was alone",
    cause="{cause}",
    begin=(
        scene("go"),
        scene(
            "event",
            "there, all alone, sat {an_animal}. It did not run away, because {cause}.",
            "something moved in the grass. It was {an_animal}, weak and cold, because {cause}.",
            "{F} stopped. {An_animal} lay in front of their feet. It could not go on, because {cause}.",
        ),
        scene(
            "talk?",
            '"poor thing," said {H}. "We must do something."',
            '"do not touch it," said {F}. But {H} knelt down beside it.',
            '"it is so small," whispered {H}.',
        ),
    ),
    ways=(
        Branch(
            name="cared for",
            kind=True,
            happy=True,
            deed="{H} helped {animal}",
            doer="H",
            receiver="A",
            lessons=(
                "care makes the weak strong",
                "a friend can have four legs or none",
            ),
            scenes=(
                scene(
                    "deed",
                    "{H} laid {animal} on {his} jacket, carried it home, and helped it to eat.",
                    "they took {beast} home, and day after day {H} fed it with milk and bread.",
                    "{H} helped {beast} to a bed of straw, and {F} brought water.",
                ),
                scene(
                    "event?",
                    "slowly {beast} grew strong.",
                    "after a week {beast} stood up and looked around.",
                ),
                scene(
                    "result",
                    "whenever {H} {used} the {thing}, {beast} was there at once.",
                    "in the end {beast} would not leave {H}, and slept beside the {thing} every night.",
                    "{beast} loved the {thing}. It followed {H} everywhere when {he} {used} it.",
                ),
            ),
        ),
        Branch(
            name="let it go",
            kind=True,
            happy=False,
            deed="{H} helped {animal} and let it go",
            doer="H",
            receiver="A",
            lessons=(
                "love sometimes means letting go",
                "wild things belong to the wild",
            ),
            scenes=(
                scene(
                    "deed",
                    "{H} helped {beast} until it was well, and {he} loved it dearly.",
                    "for many weeks {H} fed {beast} and slept beside it.",
                    "{H} made a bed for {beast}, fed it by hand and helped it through the cold nights.",
                ),
                scene(
                    "turn",
                    "but {beast} sat at the door and waited.",
                    "when spring came, {beast} would not eat any more.",
                    '"it wants to be free," said {F}. {H} knew that it was true.',
                ),
                scene(
                    "event",
                    "so they opened the door, and {beast} went without looking back.",
                    "so they carried {beast} back, and {H} set it down in the grass. It ran off at once.",
                ),
                scene(
                    "result?",
                    "only the {thing} was left to {H}.",
                    "{H} {used} the {thing}, but {his} thoughts were far away.",
                ),
            ),
        ),
        Branch(
            name="chased off",
            kind=True,
            happy=True,
            deed="{F} kicked at {animal} and then helped it",
            doer="F",
            receiver="A",
            lessons=(
                "every creature can feel pain",
                "a cruel moment can be made good",
            ),
            scenes=(
                scene(
                    "deed",
                    "{F} kicked at {beast} to chase it off.",
                    '"it has no business here," said {F}, and kicked at it.',
                    '"go away!" cried {F}, and kicked at it. {Beast} cried out.',
                ),
                scene(
                    "talk",
                    '"stop! How would you like that?" cried {H}.',
                    '{H} stepped in between. "It can feel as much as you can," {he} said.',
                ),
                scene(
                    "turn",
                    '{F} looked into its eyes and was ashamed. "I am sorry, little one," said {F}, and helped to carry {beast} home.',
                    "{F} grew quiet. Then {fhe} said sorry, and fetched some milk for {beast}.",
                    '"I am sorry," said {F} after a while, and gave {beast} some water. "I did not think."',
                ),
                scene(
                    "result?",
                    "they gave it {food}, and it grew fat and merry.",
                    "soon {beast} ate out of their hands and played with the {thing}.",
                ),
            ),
        ),
        Branch(
            name="mother found",
            kind=True,
            happy=True,
            deed="{H} brought {animal} to its mother",
            doer="H",
            receiver="A",
            lessons=(
                "nothing is better than coming home",
                "patience and quiet feet find the way",
            ),
            scenes=(
                scene(
                    "turn?",
                    "they listened. Far off, something called.",
                    "{H} laid the {thing} aside and looked for tracks in the mud.",
                    '"its mother cannot be far," said {F}.',
                ),
                scene(
                    "deed",
                    "{H} carried {beast} through thorns and ditches and helped it to find its mother.",
                    "step by step {H} followed the sound, with {beast} in {his} arms, and helped it home.",
                ),
                scene(
                    "event",
                    "the mother came out of the bushes and [would not leave its side|looked it over from head to foot].",
                    "what a welcome that was!",
                    "two dark eyes shone between the leaves. It was the mother, and she had waited.",
                ),
                scene(
                    "result?",
                    '"did you see how it looked back at us?" asked {F}.',
                    "on the way back they {used} the {thing} and sang.",
                ),
            ),
        ),
    ),
)
