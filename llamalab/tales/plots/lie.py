"""A lie and its price: the hero broke the friend's thing, and says no."""

# ruff: noqa: E501, a sentence is read whole

from .shape import Branch, Plot, scene

LIE = Plot(
    name="lie",
    owns=False,
    picks={
        "cause": (
            "{he} had been running with it",
            "{he} wanted to show how strong {he} was",
            "{he} was in too great a hurry",
            "{he} had held it with one hand only",
            "{he} had not looked where {he} was going",
        ),
    },
    problem="{H} broke the {thing} of {F}",
    cause="{cause}",
    begin=(
        scene(
            "want",
            "{F} had {a_thing}, and {fhe} was very proud of it.",
            "in {F}'s room stood {a_thing}. Nobody else was allowed to touch it.",
            "{F} had just been given {a_thing}.",
        ),
        scene(
            "event",
            "{one_day} {H} took the {thing} {to}, and there {breaks}. It happened because {cause}.",
            "{one_day} {H} borrowed the {thing} and went {to}. But {breaks}, because {cause}.",
            "{one_day} they went {to}. While {F} was not looking, {H} picked up the {thing}. It was no surprise that {breaks}, because {cause}.",
        ),
        scene(
            "talk",
            '"{H}, {H}, who did this?" asked {F}.',
            '"what happened to my {thing}?" [asked|cried] {F}, {low}.',
            '"my {noun}!" said {F}. "It is broken! {H}! {H}! Was it you?"',
        ),
        scene(
            "deed",
            '"not me," {H} lied. "It was the [cat|wind|dog]."',
            '{H} was afraid, and so {he} lied. "I never touched it," {he} said.',
            '{H} grew hot and cold. "I do not know," {he} lied.',
        ),
    ),
    ways=(
        Branch(
            name="tells the truth",
            kind=True,
            happy=True,
            deed="{H} lied to {F} and then told the truth",
            doer="H",
            receiver="F",
            lessons=(
                "the truth is lighter than a lie",
                "a lie grows heavier every day",
            ),
            scenes=(
                scene(
                    "feeling?",
                    "but the lie sat in {his} stomach like a stone.",
                    "that night {H} could not sleep.",
                    "{H} could not eat, and {he} could not laugh.",
                ),
                scene(
                    "turn",
                    'in the end {he} went to {F}. "I broke it, and I lied," {he} said. "I am sorry."',
                    '"{F}, I must tell you the truth," {he} said the next morning. "It was me, and I am sorry."',
                ),
                scene(
                    "result",
                    "{F} forgave {him}, and together they mended the {thing}.",
                    '{F} looked at {him} for a long time. "Thank you for the truth," said {F}, and forgave {him}.',
                    "they sat down side by side. {H} {mend}, and {F} forgave {him}.",
                ),
            ),
        ),
        Branch(
            name="is found out",
            kind=False,
            happy=False,
            deed="{H} lied to {F}",
            doer="H",
            receiver="F",
            lessons=(
                "one lie costs a hundred truths",
                "whoever lies is not believed again",
            ),
            scenes=(
                scene(
                    "turn",
                    'but {a_helper} had seen it all. "That is not true, {H}," said {role}.',
                    "then {a_helper} came by. {Ohe} had seen it happen, and told {F}.",
                    "the next day {F} met {a_helper}, who had seen it all.",
                ),
                scene(
                    "feeling?",
                    "{H} turned red as a beet and wished {himself} far away.",
                    "{H} looked at {his} shoes.",
                ),
                scene(
                    "result",
                    '"the {noun} is only a thing," said {F}. "But you lied to me."',
                    '"I could have forgiven you," said {F}, "but not the lie."',
                ),
                scene(
                    "event",
                    "after that {F} did not believe {H} any more, even when every word was true.",
                    "{F} took the pieces of the {thing} and went away.",
                ),
            ),
        ),
        Branch(
            name="another is blamed",
            kind=True,
            happy=True,
            deed="{H} lied and then told the truth to save another",
            doer="H",
            receiver="O",
            lessons=(
                "nobody should pay for the lie of another",
                "it takes a brave heart to tell the truth",
            ),
            scenes=(
                scene(
                    "event",
                    "so {F} thought that {a_helper} had done it, and told everyone so.",
                    "soon people said that {a_helper} had broken it. Nobody greeted {ohim} any more.",
                ),
                scene(
                    "feeling?",
                    "{H} saw how sad {role} looked, and {he} was ashamed.",
                    "when {H} met {role}, {he} could not look {ohim} in the eye.",
                    "{role} sat alone in the evening, and {H} felt {his} heart grow heavy.",
                ),
                scene(
                    "turn",
                    '"it was me!" {H} said, in front of everybody. "I lied, and I am sorry."',
                    '{H} stood up. "Stop!" {he} said. "I broke it and I lied. I am sorry."',
                    "then {H} went from door to door and told the truth, and {he} said sorry to {role}.",
                ),
                scene(
                    "result",
                    "{role} forgave {him} first, and then {F} did, too.",
                    "{F} gave {role} some {food}, and forgave {H}. And the {thing} was mended.",
                ),
            ),
        ),
    ),
)
