"""Broken: the friend has a turn, and the thing breaks."""

# ruff: noqa: E501, a sentence is read whole

from .shape import Branch, Plot, scene

BROKEN = Plot(
    name="broken",
    owns=True,
    picks={
        "cause": (
            "{F} tripped over a root and fell on it",
            "{F} was too wild with it",
            "{F} dropped it on a stone",
            "{F} was showing off with it",
            "{F} let go of it too soon",
        ),
    },
    problem="the {thing} broke",
    cause="{cause}",
    begin=(
        scene("go"),
        scene(
            "want",
            '"may I have a turn?" asked {F}. "Yes, but be careful," said {H}.',
            "{F} wanted to {use} the {thing} as well, and {H} said yes.",
            "first {H} {used} it, and then {F} had a turn.",
            '"let me {use} the {noun}!" begged {F}. {H} nodded.',
        ),
        scene(
            "event",
            "but {cause}, and {breaks}.",
            "then {cause}. Crack! It went so fast: {breaks}.",
            "all went well until {cause}. Down it fell, and {breaks}.",
            "it was broken in a moment, because {cause}: {breaks}.",
        ),
        scene(
            "feeling?",
            "{H} stared at the {noun}, {low}.",
            "{H} was {low}, and no wonder.",
            '"oh no!" cried {H}, who was {low} to see the {thing} like that.',
        ),
    ),
    ways=(
        Branch(
            name="friend mends it",
            kind=True,
            happy=True,
            deed="{F} mended the {thing}",
            doer="F",
            receiver="H",
            lessons=(
                "what is broken can often be mended",
                "a true word mends half the harm",
            ),
            scenes=(
                scene(
                    "talk",
                    '"it was my fault," said {F}. "I am sorry, and I will make it good."',
                    '{F} did not run away. "I broke it," said {F}, "and I will put it right."',
                    '"wait here," said {F}. "I broke it, so I must mend it."',
                ),
                scene(
                    "deed",
                    "{F} took the {noun} home and {mend}. It took until supper.",
                    "all afternoon {F} worked, and at last {F} mended it: {fhe} {mend}.",
                    "{F} sat down, thought a little and {mend}. The {noun} was mended.",
                ),
                scene(
                    "result?",
                    '"it is as good as new," said {H}, and forgave {F} [gladly|at once].',
                    "{H} thanked {F}, and soon they were {using} it again.",
                    "{H} looked at it from all sides. The {thing} was even better than before.",
                ),
            ),
        ),
        Branch(
            name="friend runs off",
            kind=False,
            happy=False,
            deed="{F} lied about the {thing}",
            doer="F",
            receiver="H",
            lessons=(
                "a lie breaks more than a toy",
                "a coward loses friends",
            ),
            scenes=(
                scene(
                    "talk",
                    '"that was not me," said {F}. "It was broken before."',
                    '"it was the wind," said {F}, and looked away.',
                    '"you gave it to me like that," said {F}.',
                ),
                scene(
                    "deed",
                    "{F} lied, and both of them knew it.",
                    "{H} knew that {F} had lied.",
                    "{F} lied without turning red, and that was the worst of it.",
                ),
                scene(
                    "result",
                    "then {F} ran off and left {H} [alone with the pieces|standing there].",
                    "{F} went home and did not come back, not that day and not the next.",
                    "{F} shrugged and walked off as if nothing had happened.",
                ),
                scene(
                    "feeling?",
                    "{H} picked up the {thing} and held it close.",
                    "the {noun} lay on a shelf from then on, and nobody {used} it any more.",
                ),
            ),
        ),
        Branch(
            name="hero shouts, then sorry",
            kind=True,
            happy=True,
            deed="{H} shouted at {F} and then said sorry",
            doer="H",
            receiver="F",
            lessons=(
                "angry words hurt, and kind words heal",
                "a friend is worth more than any toy",
            ),
            scenes=(
                scene(
                    "deed",
                    '"you spoil everything!" {H} shouted at {F}, and {F} ran away.',
                    "{H} was so angry that {he} shouted at {F} until {F} cried.",
                    '"look what you have done!" {H} shouted at {F}. {F} hid {fhis} face and went away.',
                ),
                scene(
                    "turn",
                    "but without {F} it was very quiet, and after a while {H} [was ashamed|felt bad].",
                    "then {H} sat there alone, and {he} began to be ashamed.",
                    "{H} sat with the broken {noun} and thought. It had not been meant badly.",
                ),
                scene(
                    "talk",
                    '{He} went to find {F}. "I am sorry that I shouted," {he} said. "You did not mean it."',
                    'at last {he} ran after {F}. "I am sorry," {he} said. "You matter more than any {noun}."',
                ),
                scene(
                    "result",
                    "{F} forgave {him}, and together they mended the {thing}.",
                    "{F} smiled again. They sat down together and mended the {noun}.",
                    "{F} had tears in {fhis} eyes, but {fhe} laughed and forgave {him}.",
                ),
            ),
        ),
        Branch(
            name="helper mends it",
            kind=True,
            happy=True,
            deed="{helper} mended the {thing}",
            doer="O",
            receiver="H",
            lessons=(
                "somebody always knows how",
                "good hands can mend nearly anything",
            ),
            scenes=(
                scene(
                    "turn",
                    '"I know somebody who can help," said {F}. They went to see {a_helper}.',
                    "{a_helper} was {work} near by and had seen it all.",
                ),
                scene(
                    "deed",
                    "{helper} looked at the {noun}, took some tools and {mend}.",
                    '"let me see," said {role}. With quick hands {ohe} {mend}.',
                    "{role} did not ask many questions. {Ohe} {mend}, and hummed a tune.",
                ),
                scene(
                    "result?",
                    '"what do we owe you?" asked {H}. "A smile," said {role}.',
                    "they brought {role} some {food} as a thank you.",
                    "{H} thanked {role}, and {F} thanked {ohim}, too.",
                ),
            ),
        ),
        Branch(
            name="it stays broken",
            kind=True,
            happy=False,
            deed="{F} said sorry to {H}",
            doer="F",
            receiver="H",
            lessons=(
                "some things cannot be mended",
                "a sorry does not mend everything, but it helps",
            ),
            scenes=(
                scene(
                    "talk",
                    '"I am so sorry," whispered {F}, close to tears.',
                    '"I wish I could turn back the clock," said {F}. "I am sorry."',
                    '{F} could not look at {H}. "I am sorry," said {F} again and again.',
                ),
                scene(
                    "deed",
                    "they tried to mend it with string and glue, but it broke again.",
                    "they worked until dark, but the {thing} could not be mended.",
                    "they asked everyone they knew, but nobody could mend it.",
                ),
                scene(
                    "result?",
                    "{H} did not scold {F}. {He} only carried the {noun} home in silence.",
                    "{H} forgave {F}, but the {thing} was gone for good.",
                ),
            ),
        ),
    ),
)
