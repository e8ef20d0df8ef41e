"""A brave deed: an animal is stuck, and it is dangerous to help."""

# ruff: noqa: E501, a sentence is read whole

from .shape import Branch, Plot, scene

BRAVE = Plot(
    name="brave",
    owns=True,
    picks={
        "cause": (
            "it had gone too far",
            "it had run away from a dog",
            "a loud noise had frightened it",
            "it had been looking for its mother",
        ),
        "danger": (
            "in a deep hole",
            "on a narrow ledge",
            "between two rocks",
            "in the thorns",
        ),
    },
    problem="{animal} was stuck {danger}",
    cause="{cause}",
    begin=(
        scene("go"),
        scene(
            "event",
            "suddenly they heard a cry. {An_animal} was stuck {danger}.",
            '"look there!" whispered {F}. {An_animal} sat {danger} and could not get away.',
            "they had not been there long when {H} saw {an_animal}. It was stuck {danger}.",
        ),
        scene(
            "cause",
            "it was there because {cause}.",
            "{cause}, and now it trembled all over.",
            "it could not move. It had got there because {cause}.",
            "nobody had heard it until now. {Cause}.",
        ),
        scene(
            "talk?",
            '"it is too dangerous," said {F}. "Let us go home."',
            '"somebody must help it," said {H}. {His} knees were soft.',
            "nobody else was near. {H} was afraid, and so was {F}.",
        ),
    ),
    ways=(
        Branch(
            name="hero saves it",
            kind=True,
            happy=True,
            deed="{H} saved {animal}",
            doer="H",
            receiver="A",
            lessons=(
                "courage is fear that goes on walking",
                "small hands can do great things",
            ),
            scenes=(
                scene(
                    "deed",
                    "{H} took a deep breath, laid down the {thing}, and saved {beast}.",
                    '"hold my {noun}," said {H}. Then {he} crept closer, inch by inch, and saved {beast}.',
                    "{H} gave {F} the {thing} to hold. {He} reached out {his} arm as far as {he} could, and saved {beast}.",
                ),
                scene(
                    "event?",
                    "{beast} looked at {him} once and hurried off to its mother.",
                    "for a moment {beast} lay still in {his} arms. Then it was gone, as quick as could be.",
                ),
                scene(
                    "result?",
                    '"you are the bravest of us all," said {F}.',
                    '"were you not afraid?" asked {F}. "Very," said {H}.',
                ),
            ),
        ),
        Branch(
            name="with the thing",
            kind=True,
            happy=True,
            deed="{H} gave up the {thing} to save {animal}",
            doer="H",
            receiver="A",
            lessons=(
                "a life is worth more than a toy",
                "some things are well lost",
            ),
            scenes=(
                scene(
                    "turn",
                    "{H} could not reach it with {his} hand. So {he} held out the {thing}, as far as it would go.",
                    "then {H} had an idea. With the {thing} {he} pushed the stones and branches aside.",
                ),
                scene(
                    "deed",
                    "so {he} saved {beast}. Only the {noun} had to pay for it: {breaks}.",
                    "{beast} was saved, but not the {noun}: {breaks}.",
                ),
                scene(
                    "talk?",
                    '"your {noun}!" cried {F}. "It does not matter," said {H}.',
                    "{H} looked at the {thing} and then at {beast}, and {he} laughed.",
                ),
                scene(
                    "result?",
                    "the next day {F} took the {noun} and {mend}.",
                    "every morning after that, {beast} waited for {him} by the path.",
                ),
            ),
        ),
        Branch(
            name="they walk away",
            kind=False,
            happy=False,
            deed="{H} left {animal} alone",
            doer="H",
            receiver="A",
            lessons=(
                "a good deed must not wait",
                "it is worse to look away than to be afraid",
            ),
            scenes=(
                scene(
                    "deed",
                    '"it is not our business," said {H}, and {he} left {beast} alone.',
                    '"somebody else will come," said {H}, and they left {beast} there.',
                    "{H} looked away. They left {beast} there and played on with the {thing}.",
                ),
                scene(
                    "turn",
                    "that evening it rained, and {H} thought of {beast}.",
                    "at home the cry of {beast} would not leave {his} ears.",
                    "{H} could not eat {his} supper. {He} still heard the cry.",
                ),
                scene(
                    "event",
                    "{He} ran back with a light, but it was too late. {Beast} was gone.",
                    "in the morning {he} went back, but nothing was there any more.",
                ),
                scene(
                    "result",
                    '"we should have helped," said {F}. {H} only nodded.',
                    "",
                ),
            ),
        ),
        Branch(
            name="friend comes back",
            kind=True,
            happy=True,
            deed="{F} helped {H} to save {animal}",
            doer="F",
            receiver="A",
            lessons=(
                "together we are braver than alone",
                "two small people make one strong one",
            ),
            scenes=(
                scene(
                    "turn",
                    "{H} tried once and slipped. {He} tried again, and slipped again.",
                    "alone {H} was too short. {He} was {low}.",
                    "{H} stretched as far as {he} could, but it was not far enough.",
                ),
                scene(
                    "deed",
                    "then {F} held {H} by the belt, and together they saved {beast}.",
                    '"climb on my back," said {F}. So {F} helped {him}, and they saved {animal}.',
                ),
                scene(
                    "event?",
                    "{beast} sat between them and dried itself in the sun.",
                    "they wrapped {beast} in a cloth and gave it {food}.",
                ),
                scene(
                    "result?",
                    "{H} {used} the {thing}, and {beast} watched with round eyes.",
                    '"we did it," said {F}. "We did it together," said {H}.',
                ),
            ),
        ),
    ),
)
