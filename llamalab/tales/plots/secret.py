"""Secret: the friend has one, and the hero promises to keep it."""

# ruff: noqa: E501, a sentence is read whole

from .shape import Branch, Plot, scene

SECRET = Plot(
    name="secret",
    owns=False,
    picks={
        "cause": (
            "{F} was afraid that the others would laugh",
            "it was to be a surprise",
            "{F} had promised not to show it to anyone",
            "somebody might take it away",
        ),
        "spot": (
            "under some branches",
            "in the tall reeds",
            "behind a wall",
            "in an old shed",
            "under dry leaves",
        ),
    },
    problem="{F} had a secret",
    cause="{cause}",
    begin=(
        scene("go"),
        scene(
            "event",
            '"can you keep a secret?" asked {F}. Then {F} showed {H} {a_thing}, hidden {spot}.',
            'there {F} looked around and whispered: "Look." {A_thing} lay hidden {spot}.',
            "{F} led {H} to a place that nobody knew. {A_thing} lay hidden {spot}.",
        ),
        scene(
            "cause",
            "it was a secret, because {cause}.",
            '"you must not tell anyone," said {F}. It had to stay a secret, because {cause}.',
            "why did nobody know of it? Because {cause}.",
        ),
        scene(
            "talk",
            '"I promise," said {H}.',
            "{H} put a hand on {his} heart and promised.",
            '"not a word," said {H}, and {he} meant it.',
        ),
    ),
    ways=(
        Branch(
            name="kept",
            kind=True,
            happy=True,
            deed="{H} kept the promise to {F}",
            doer="H",
            receiver="F",
            lessons=(
                "a promise is a promise",
                "a friend can be trusted with a secret",
            ),
            scenes=(
                scene(
                    "turn?",
                    "the next day all the children asked {him} what {he} knew.",
                    'later {a_helper} asked: "What have you two found?"',
                ),
                scene(
                    "deed",
                    "{H} kept the promise and said nothing.",
                    "it was hard, but {H} kept the secret. {He} only smiled.",
                    "{H} kept the secret, day after day, even when others begged.",
                ),
                scene(
                    "result",
                    "when {F} heard of it, {fhe} shared the {thing} with {H}.",
                    '"now I know that I can trust you," said {F}, and let {him} {use} the {thing}.',
                    "after that they met there every week and {used} the {thing} where nobody saw them.",
                ),
            ),
        ),
        Branch(
            name="told",
            kind=False,
            happy=False,
            deed="{H} told the secret of {F}",
            doer="H",
            receiver="F",
            lessons=(
                "a word that is out cannot be called back",
                "a broken promise breaks more than itself",
            ),
            scenes=(
                scene(
                    "turn?",
                    "but a secret is heavy to carry. {H} wanted to look important.",
                    "for two days {H} was silent. On the third day {he} could not bear it any longer.",
                    "a girl promised {him} some {food} for a secret.",
                ),
                scene(
                    "deed",
                    "{He} broke the promise and told everyone about the {thing}.",
                    "{H} broke the promise and told one child, and that child told ten.",
                    "in the end {H} broke the promise for a moment of glory.",
                ),
                scene(
                    "event",
                    "soon a crowd came and trampled everything, and the {thing} was gone.",
                    "by evening the whole village knew, and somebody took the {thing} away.",
                    "the news ran from house to house, and the next day the {thing} was gone.",
                ),
                scene(
                    "result",
                    '"you promised," said {F}, and went away.',
                    '{F} did not shout. "I thought you were my friend," said {F}.',
                    "{F} looked at {H} once, and never told {him} a secret again.",
                ),
            ),
        ),
        Branch(
            name="told, then sorry",
            kind=True,
            happy=True,
            deed="{H} told the secret and then said sorry",
            doer="H",
            receiver="F",
            lessons=(
                "a mistake can be owned up to",
                "trust grows back slowly, but it grows",
            ),
            scenes=(
                scene(
                    "deed",
                    "but {H} broke the promise and told it to a girl at the well.",
                    "yet that evening {H} broke the promise: {he} told it at the supper table.",
                ),
                scene(
                    "feeling?",
                    "at once {he} was {low}.",
                    "{H} did not sleep that night, for {he} was {low}.",
                ),
                scene(
                    "talk",
                    'in the morning {he} went to {F}. "I told it," {he} said. "I am sorry."',
                    '"{F}, I broke my promise," {he} said the next day. "I am sorry."',
                ),
                scene(
                    "result",
                    "{F} was silent for a long time, and then forgave {him}.",
                    '{F} sighed. "At least you told me the truth," {fhe} said, and forgave {H}.',
                    "{F} was angry at first. But then {fhe} forgave {H}, and they found a new hiding place for the {thing}.",
                ),
            ),
        ),
        Branch(
            name="it was for the hero",
            kind=True,
            happy=True,
            deed="{F} gave the {thing} to {H}",
            doer="F",
            receiver="H",
            lessons=(
                "the best secrets are presents",
                "it is good to wait",
            ),
            scenes=(
                scene(
                    "turn?",
                    "days went by, and {H} said nothing to anyone.",
                    "{H} kept the promise for a whole week, and it was not easy.",
                ),
                scene(
                    "event",
                    "then came {H}'s birthday.",
                    "on Sunday {F} knocked at {his} door.",
                    "one week later {F} asked {him} to close both eyes.",
                ),
                scene(
                    "deed",
                    '"now the secret can come out," said {F}, and gave {him} the {thing}.',
                    "{F} gave {him} the {thing}. It had been for {H} all the time.",
                    '"it was never mine," said {F}, and gave {him} the {thing}.',
                ),
                scene(
                    "result?",
                    "{H} laughed and cried at once.",
                    '"for me?" said {H}. {He} danced around the room with it.',
                    '"and I thought it was yours!" said {H}.',
                ),
            ),
        ),
    ),
)
