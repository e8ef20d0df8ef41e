"""Sharing: one has a toy, and the other only watches."""

# ruff: noqa: E501, a sentence is read whole

from .shape import Branch, Plot, scene

SHARING = Plot(
    name="sharing",
    owns=True,
    picks={
        "cause": (
            "{fhe} had no toys at all",
            "{fhe} had never held one before",
            "{fhe} had left everything at home",
            "{fhe} had come with empty hands",
        ),
    },
    problem="{F} had nothing to play with",
    cause="{cause}",
    begin=(
        scene("go"),
        scene(
            "event",
            "{H} {used} the {thing} again and again. {F} only stood and watched, because {cause}.",
            "while {H} {used} the {thing}, {F} sat on a log and said nothing. {F} was {low}, because {cause}.",
            "it was fun for {H}, but not for {F}, because {cause}.",
        ),
        scene(
            "talk",
            '"may I try?" asked {F} [softly|at last|in a small voice].',
            '"I would like to {use} it, too," said {F}.',
            '"is it fun to {use}?" asked {F}, and looked at the {noun} with big eyes.',
        ),
    ),
    ways=(
        Branch(
            name="hero shares",
            kind=True,
            happy=True,
            deed="{H} shared the {thing} with {F}",
            doer="H",
            receiver="F",
            lessons=(
                "joy grows when it is shared",
                "it is more fun with two",
            ),
            scenes=(
                scene(
                    "turn",
                    "{H} looked down at the {thing}. It was hard to let go of it.",
                    "{H} thought about it for a moment.",
                    "",
                ),
                scene(
                    "deed",
                    '"of course," said {H}, and shared the {thing} with {F}.',
                    'then {H} smiled and shared it. "You first, then me," said {H}.',
                    '"take it," said {H}. So they shared the {thing}, turn and turn about.',
                ),
                scene(
                    "result?",
                    "they laughed so loudly that the birds flew up.",
                    "{F} {used} it so well that {H} clapped.",
                    "in return {F} shared some {food}, and they ate them in the grass.",
                ),
            ),
        ),
        Branch(
            name="hero refuses",
            kind=False,
            happy=False,
            deed="{H} refused to share the {thing}",
            doer="H",
            receiver="F",
            lessons=(
                "a toy is poor company",
                "whoever keeps everything ends up alone",
            ),
            scenes=(
                scene(
                    "deed",
                    '"no, it is mine," said {H}, and refused to share it.',
                    "{H} refused. {He} held the {thing} tight and turned away.",
                    '"find your own!" said {H}, and refused to give it up for even a moment.',
                ),
                scene(
                    "turn",
                    "{F} went home without a word.",
                    "{F} waited a little, and then {fhe} left.",
                ),
                scene(
                    "result",
                    "now {H} could {use} it as long as {he} liked. But there was nobody to laugh with.",
                    "{H} {used} it alone, but it was no fun at all.",
                ),
                scene(
                    "feeling?",
                    "the {thing} did not look so bright any more.",
                    "the next day {F} played with other children, and {H} watched from far away.",
                ),
            ),
        ),
        Branch(
            name="hero refuses, then shares",
            kind=True,
            happy=True,
            deed="{H} refused at first and then shared the {thing}",
            doer="H",
            receiver="F",
            lessons=(
                "it is never too late to be kind",
                "a closed hand stays empty",
            ),
            scenes=(
                scene(
                    "deed",
                    '"no!" said {H}, and refused to share it. {F} walked off with a bent head.',
                    "at first {H} refused, and {F} turned away, {low}.",
                    '"not now," said {H}, and refused again when {F} asked a second time.',
                ),
                scene(
                    "turn",
                    "soon {H} noticed how quiet it was. {He} was ashamed.",
                    "{H} looked at the {noun}. Alone it was only half the fun.",
                    "{H} wanted to show {F} a trick, but there was nobody to see it.",
                ),
                scene(
                    "result",
                    '{He} ran after {F}. "I am sorry," {he} said. "Let us share it." And they shared the {thing} until dusk.',
                    '"{F}, come back!" {he} called. "I am sorry. You can have the first turn." So they shared it after all.',
                    '"I am sorry," {he} said when {he} had found {F}. "Here, it is your turn." They shared it all day long.',
                ),
            ),
        ),
        Branch(
            name="hero gives it away",
            kind=True,
            happy=True,
            deed="{H} gave the {thing} to {F}",
            doer="H",
            receiver="F",
            lessons=(
                "giving can be better than having",
                "a gift makes two people rich",
            ),
            scenes=(
                scene(
                    "turn?",
                    "{H} remembered all that {F} had done for {him}.",
                    "{H} saw how gently {F} touched it.",
                    "{H} had many toys, and {F} had none.",
                ),
                scene(
                    "deed",
                    '"keep it," said {H}, and gave the {thing} to {F}.',
                    '{H} gave it to {F}. "It is yours now," {he} said.',
                    "{H} took the {thing} and gave it to {F}, for good.",
                ),
                scene(
                    "talk",
                    '"for ever?" asked {F}. "For ever," said {H}.',
                    '{F} could not believe it. "Nobody ever gave me such a thing," said {F}.',
                    '"but it is your best {noun}," said {F}. "That is why," said {H}.',
                ),
                scene(
                    "result?",
                    "and {F} {used} the {thing} as if it had always been so.",
                    "{F} hugged {H} so hard that it almost hurt.",
                ),
            ),
        ),
    ),
)
