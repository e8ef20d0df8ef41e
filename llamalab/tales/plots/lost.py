"""Lost: the thing is gone, and somebody finds it, or nobody does."""

# ruff: noqa: E501, a sentence is read whole

from .shape import Branch, Plot, scene

LOST = Plot(
    name="lost",
    owns=True,
    picks={
        "cause": (
            "{he} had put it down to chase a butterfly",
            "{he} had run too fast and looked at nothing",
            "a hole in {his} bag had let it slip out",
            "{he} had been busy talking and not careful",
            "{he} had left it on a bench to pick flowers",
        ),
        "hiding": (
            "under a bush",
            "behind a big stone",
            "in the tall grass",
            "between two roots",
            "under a heap of leaves",
            "beside an old fence",
        ),
    },
    problem="{H} lost the {thing}",
    cause="{cause}",
    begin=(
        scene("go"),
        scene(
            "event",
            "[but|then,] when it was time to go, the {thing} was gone.",
            "they played until noon. Then {H} looked around, and the {thing} was nowhere to be seen.",
            "on the way back {H} stopped. Where was the {thing}?",
            '"where is my {thing}?" [cried|asked] {H} all at once.',
            "there they [laughed and ran about|played all the games they knew]. But then the {thing} was missing.",
        ),
        scene(
            "cause",
            "{H} should have been more careful. It was lost because {cause}.",
            "{H} had lost it, because {cause}.",
            'how had it happened? {H} thought hard. "I know," {he} said. It was because {cause}.',
        ),
        scene(
            "feeling?",
            "{H} was so {low} that {he} could hardly speak.",
            "{H} sat down on the ground, {low}.",
            "{H} turned pale. {He} was {low}.",
            '"I will never see it again," said {H}, and {he} was {low}.',
        ),
    ),
    ways=(
        Branch(
            name="friend finds it",
            kind=True,
            happy=True,
            deed="{F} found the {thing} and gave it back to {H}",
            doer="F",
            receiver="H",
            lessons=(
                "a good friend is worth more than gold",
                "two pairs of eyes see more than one",
            ),
            scenes=(
                scene(
                    "turn?",
                    '"do not cry," said {F}. "Four eyes are better than two."',
                    "{F} did not laugh at {him}. {F} took {his} hand.",
                    '"we will look together," said {F}.',
                    '"I know what to do," said {F}. "We will go back the same way."',
                ),
                scene(
                    "deed",
                    "{F} helped {H} search, step by step, and there it was, {hiding}.",
                    "together they searched [every corner|for an hour], and {F} found the {thing} {hiding}.",
                    "{F} crawled about on hands and knees until something {hiding} caught the light. It was the {noun}.",
                ),
                scene(
                    "result?",
                    '"here it is!" said {F}, and gave it back.',
                    "{F} gave {H} the {thing} and [smiled|bowed].",
                    '"you found it!" cried {H}. {He} hugged {F} and would not let go.',
                ),
            ),
        ),
        Branch(
            name="helper finds it",
            kind=True,
            happy=True,
            deed="{helper} gave the {thing} back to {H}",
            doer="O",
            receiver="H",
            lessons=(
                "it is wise to ask for help",
                "kind people can be found everywhere",
            ),
            scenes=(
                scene(
                    "turn",
                    "{F} pointed. Not far away sat {a_helper}, {work}.",
                    "then {a_helper} came along the path.",
                    "a little farther on {a_helper} was {work}.",
                    '"let us ask somebody," said {F}. They met {a_helper}, {work}.',
                ),
                scene(
                    "talk?",
                    '"have you seen a {noun}?" asked {H}. "Is it {adjective}?" asked {role}, and [winked|smiled].',
                    '"why so sad?" asked {role}, and {H} told the whole story.',
                    '{role} looked up. "What are you two looking for?" {ohe} asked.',
                ),
                scene(
                    "deed",
                    "{helper} had found the {thing} {hiding}, and gave it back to {H}.",
                    '"wait," said {role}, looked {hiding} and came back with the {thing}. With a bow {ohe} gave it to {H}.',
                    '"I found this {hiding}," said {role}, and gave {H} the {thing}.',
                ),
                scene(
                    "result",
                    '"thank you!" said {H}. {He} shook the hand of {role} again and again.',
                    "{H} thanked {role} [three times|with all {his} heart].",
                    "{H} thanked {role}, and {F} danced with joy.",
                ),
            ),
        ),
        Branch(
            name="never found",
            kind=True,
            happy=False,
            deed="{F} comforted {H}",
            doer="F",
            receiver="H",
            lessons=(
                "what is lost may stay lost",
                "we must look after what we love",
            ),
            scenes=(
                scene(
                    "turn",
                    "they searched until it grew dark, but they found nothing.",
                    "{F} helped {H} search. They looked {hiding} and in a hundred other places, but the {noun} was not there.",
                    "they asked everyone they met, but nobody had seen the {thing}.",
                ),
                scene(
                    "deed",
                    "{F} put an arm around {H} and comforted {him}.",
                    '"I am so sorry," said {F}, and comforted {H} as well as a {friend} can.',
                    "{F} had no words, but comforted {him} with a long hug.",
                ),
                scene(
                    "result",
                    "the {thing} never came back.",
                    '"it was the best {noun} in the world," said {H} softly.',
                    "",
                ),
            ),
        ),
        Branch(
            name="friend hid it",
            kind=True,
            happy=True,
            deed="{F} hid the {thing} and then said sorry",
            doer="F",
            receiver="H",
            lessons=(
                "a joke is no joke if somebody cries",
                "it takes courage to own up",
            ),
            scenes=(
                scene(
                    "turn",
                    "{F} grew red. It was not lost at all: {F} had stolen it for a joke.",
                    'now {F} could keep it in no longer. "It was a joke," said {F}. "I have stolen it and hidden it."',
                    "but {F} knew very well where it was. {F} had stolen it when nobody was looking.",
                ),
                scene(
                    "feeling",
                    "now the joke was not funny any more.",
                    "when {F} saw the tears, the joke felt heavy as a stone.",
                    "",
                ),
                scene(
                    "deed",
                    '"I took it," said {F}. "It was a bad joke, and I am sorry." And {F} gave the {thing} back.',
                    '{F} had put it {hiding}. {F} fetched the {thing} and gave it back. "I am sorry," {fhe} said.',
                ),
                scene(
                    "result",
                    "{H} was angry for a moment, but then {he} forgave {F}.",
                    '"do not do that again," said {H}, and forgave {F}.',
                    "{H} looked at {F} for a long while. Then {he} held out a hand and forgave {F}.",
                ),
            ),
        ),
        Branch(
            name="friend keeps it",
            kind=False,
            happy=False,
            deed="{F} found the {thing} and stole it",
            doer="F",
            receiver="H",
            lessons=(
                "not everyone who smiles is a friend",
                "one theft can end a friendship",
            ),
            scenes=(
                scene(
                    "turn",
                    "but {F} had seen the {thing} {hiding}, and {fhe} said nothing.",
                    "{F} soon found it {hiding}. But {fhe} wanted to have it, too.",
                ),
                scene(
                    "deed",
                    "{F} stole the {thing} and [ran home with it|hid it in a dark shed].",
                    "when {H} looked the other way, {F} stole it and ran off.",
                    "in the evening {F} came back alone and stole it.",
                ),
                scene(
                    "result",
                    "days later {H} saw {F} with the {thing}, and understood.",
                    "a week later {H} saw the {thing} in {F}'s window, and {his} heart hurt.",
                ),
                scene(
                    "talk?",
                    '"I trusted you," said {H}, and turned away.',
                    '"that {noun} is mine," said {H}. But {F} only shook {fhis} head.',
                    "{H} said nothing. {He} walked away and did not look back.",
                ),
            ),
        ),
    ),
)
