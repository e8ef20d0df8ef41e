"""Storm: it catches them far from home."""

# ruff: noqa: E501, a sentence is read whole

from .shape import Branch, Plot, scene

STORM = Plot(
    name="storm",
    owns=True,
    picks={
        "cause": (
            "they had not looked at the sky",
            "they had gone too far from home",
            "they had stayed out too long",
        ),
    },
    problem="a storm caught {H} and {F}",
    cause="{cause}",
    begin=(
        scene("go"),
        scene(
            "event",
            "then the sky turned black. Thunder rolled, and the rain came down like a wall.",
            "all at once the wind began to howl, and lightning split the clouds.",
            "a drop fell, and another, and then a great storm broke over them.",
            "dark clouds came up from the west. Before they could turn back, the storm was there.",
        ),
        scene(
            "cause?",
            "it had caught them because {cause}.",
            "they were wet to the skin, all because {cause}.",
            '"we should have been home by now," said {F}. But {cause}.',
        ),
        scene(
            "feeling?",
            "{H} was {low} and shook with cold.",
            "{H} held the {thing} tight. {He} was {low}.",
            '"I am afraid," said {H}, who was {low}. "So am I," said {F}.',
        ),
    ),
    ways=(
        Branch(
            name="shelter",
            kind=True,
            happy=True,
            deed="{helper} took {H} and {F} in",
            doer="O",
            receiver="H",
            lessons=(
                "a warm fire and a kind heart are the best shelter",
                "an open door is a fine gift",
            ),
            scenes=(
                scene(
                    "turn",
                    "through the rain they saw a light. It was the hut of {a_helper}.",
                    "a voice called through the storm. It was {a_helper} with a lamp.",
                    '"over here!" called somebody. {A_helper} had seen them from the door.',
                ),
                scene(
                    "deed",
                    '"come in, come in!" said {role}, and helped them out of their wet shoes.',
                    "{helper} helped them to a seat by the fire and gave them {food}.",
                ),
                scene(
                    "result?",
                    "there they sat with {food} on their knees until the storm was over.",
                    "soon the {thing} hung by the fire to dry, and {role} told them old tales.",
                    "when the sun came out, they thanked {role} and waved goodbye.",
                ),
            ),
        ),
        Branch(
            name="saved an animal",
            kind=True,
            happy=True,
            deed="{H} saved {animal}",
            doer="H",
            receiver="A",
            lessons=(
                "even in a storm one can help somebody smaller",
                "to be brave is to be afraid and still help",
            ),
            scenes=(
                scene(
                    "turn",
                    "then they heard a thin cry. {An_animal} was caught in the mud.",
                    '"listen!" said {F}. {An_animal} sat on a stone, and the water was rising.',
                ),
                scene(
                    "deed",
                    "{H} did not wait. {He} let the {thing} fall, ran out and saved {beast}.",
                    "{H} held on to the hand of {F}, leaned out and saved {animal}.",
                    "there was no time to think. {H} waded through the water and saved {beast}.",
                ),
                scene(
                    "talk?",
                    '"you are safe now," {he} whispered to {beast}.',
                    "{beast} shook itself and pressed its head against {his} hand.",
                ),
                scene(
                    "result?",
                    "when the storm had passed, they found the {thing} in the grass, wet but whole.",
                    "the storm grew tired at last. The {thing} was wet, but {beast} was alive.",
                ),
            ),
        ),
        Branch(
            name="thing is lost",
            kind=True,
            happy=False,
            deed="{F} comforted {H}",
            doer="F",
            receiver="H",
            lessons=(
                "a storm asks nobody for leave",
                "it is wise to look at the sky",
            ),
            scenes=(
                scene(
                    "turn",
                    "a great gust tore the {thing} out of {H}'s hands.",
                    "the wind pulled, and {H} pulled, but the wind was stronger. It took the {thing}.",
                    "{H} slipped, and the wind took the {thing} away.",
                ),
                scene(
                    "event?",
                    "up it went, over the trees, smaller and smaller.",
                    "{F} ran after it, but the storm was faster.",
                ),
                scene(
                    "deed",
                    '"you are safe, and that is what counts," said {F}, and comforted {H}.',
                    "{F} comforted {H} under a tree until the rain stopped.",
                ),
                scene(
                    "result",
                    "but the {thing} was gone.",
                    "in the morning they looked for it, but they found only broken branches.",
                ),
            ),
        ),
        Branch(
            name="left behind",
            kind=False,
            happy=False,
            deed="{F} left {H} alone in the storm",
            doer="F",
            receiver="H",
            lessons=(
                "fear shows who is a friend",
                "nobody should be left alone in a storm",
            ),
            scenes=(
                scene(
                    "turn",
                    "{H} slipped and hurt {his} knee.",
                    '"wait, I cannot run so fast!" cried {H}.',
                ),
                scene(
                    "deed",
                    "but {F} thought only of {fhis} own dry bed, and left {H} behind.",
                    '"I cannot wait," called {F}, and left {H} alone between the trees.',
                    "{F} did not turn round. {F} left {him} alone in the rain.",
                ),
                scene(
                    "result",
                    "slowly {H} walked on by {himself}, step by step, until {he} reached home.",
                    "it was night when {H} came home, wet and cold, with the {thing} under {his} arm.",
                ),
                scene(
                    "talk",
                    '"where were you?" asked {F} the next day. {H} did not answer.',
                    "",
                ),
            ),
        ),
    ),
)
