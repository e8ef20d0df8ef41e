"""The greedy friend: there was enough for two."""

# ruff: noqa: E501, a sentence is read whole

from .shape import Branch, Plot, scene

GREEDY = Plot(
    name="greedy friend",
    owns=True,
    picks={
        "cause": (
            "{fhe} could never get enough",
            "{fhe} thought only of {fhimself}",
            "{fhe} was afraid to get too little",
            "{fhe} had not learned to share",
        ),
    },
    problem="{F} took all the {food}",
    cause="{cause}",
    begin=(
        scene("go"),
        scene(
            "want",
            "they had some {food} with them, enough for two.",
            "{H}'s mother had packed {food} for both of them.",
            'a woman gave them {food}. "Half for each," she said.',
        ),
        scene(
            "event",
            "but {F} grabbed all the {food}, because {cause}.",
            "while {H} {used} the {thing}, {F} grabbed all the {food}, because {cause}.",
            "{H} looked around, and the {food} were gone. {F} had grabbed them all, because {cause}.",
        ),
        scene(
            "feeling?",
            "{H} got nothing. {He} was {low}.",
            '"and what about me?" asked {H}, {low}.',
            "{H} was hungry and {low}.",
        ),
    ),
    ways=(
        Branch(
            name="stomach ache",
            kind=True,
            happy=True,
            deed="{H} comforted {F}",
            doer="H",
            receiver="F",
            lessons=(
                "too much is not better than enough",
                "greed is a bad cook",
            ),
            scenes=(
                scene(
                    "event",
                    'soon {F} held {fhis} stomach. "Ow, it hurts!" cried {F}.',
                    "it did not take long until {F} turned green and lay down in the grass.",
                    "on the way home {F} stopped and groaned. The {food} had been too many.",
                ),
                scene(
                    "deed",
                    "{H} could have laughed, but {he} comforted {F} and fetched some water.",
                    "{H} sat down beside {F} and comforted {fhim}.",
                    "{H} rubbed {F}'s stomach and comforted {fhim}.",
                ),
                scene(
                    "talk",
                    '"you are kind to me, and I was greedy," said {F}. "I am sorry."',
                    '"I am sorry, {H}," said {F}. "Next time you get the bigger half."',
                ),
                scene(
                    "result?",
                    "when {F} was well again, they {used} the {thing} together.",
                    "{H} forgave {F}, and let {fhim} hold the {thing}.",
                ),
            ),
        ),
        Branch(
            name="wants the thing too",
            kind=False,
            happy=False,
            deed="{F} grabbed the {food} and the {thing}",
            doer="F",
            receiver="H",
            lessons=(
                "a greedy friend is no friend",
                "those who take everything lose more",
            ),
            scenes=(
                scene(
                    "turn",
                    "but that was not enough. Now {F} wanted the {thing}, too.",
                    '"and now give me the {noun}!" said {F}.',
                ),
                scene(
                    "deed",
                    "{F} pulled and {H} pulled, until {F} pushed {him} and ran off with the {thing}.",
                    "{F} pushed {H} into the nettles and grabbed the {thing}.",
                    "{F} waited until {H} was tired. Then {F} pushed {him} aside and grabbed the {thing}.",
                ),
                scene(
                    "result",
                    "{H} stood there with empty hands.",
                    "the {thing} was gone, and the friendship was gone as well.",
                ),
                scene(
                    "event?",
                    "from then on {F} played alone, for nobody wanted to share with {fhim}.",
                    "nobody invited {F} any more, but that did not bring the {noun} back.",
                ),
            ),
        ),
        Branch(
            name="gives back",
            kind=True,
            happy=True,
            deed="{F} grabbed the {food} and then said sorry",
            doer="F",
            receiver="H",
            lessons=(
                "it is good to give back",
                "half with a friend is more than all alone",
            ),
            scenes=(
                scene(
                    "turn",
                    "{F} saw the face of {H}, and the next bite did not taste good.",
                    '"here, have a sip of my water," said {H}, without anger. Then {F} was ashamed.',
                ),
                scene(
                    "deed",
                    '"I am sorry," said {F}. "Here, take the rest." And {fhe} shared what was left.',
                    '{F} held out both hands. "I am sorry. These are for you," {fhe} said, and shared them.',
                ),
                scene(
                    "result?",
                    "they ate side by side. Then they {used} the {thing} until the sun went down.",
                    '{H} forgave {F}. "Now you may {use} the {thing}," {he} said.',
                ),
            ),
        ),
        Branch(
            name="left alone",
            kind=False,
            happy=False,
            deed="{F} grabbed everything and was left alone",
            doer="F",
            receiver="H",
            lessons=(
                "an empty heart cannot be filled with food",
                "greed makes the table lonely",
            ),
            scenes=(
                scene(
                    "deed",
                    '"all mine!" said {F}, and laughed at {H}.',
                    "{F} laughed at {H} and licked every finger.",
                    '"you are too slow," said {F}, and laughed at {H} with a full mouth.',
                ),
                scene(
                    "turn",
                    "{H} picked up the {thing} and went home hungry.",
                    '"then I will not {use} the {thing} with you any more," said {H}.',
                ),
                scene(
                    "result",
                    "the next day {F} waited for {him} in vain.",
                    "when {F} came the next day, the door stayed shut.",
                    "{F} came to play the next day, but {H} did not come out.",
                ),
                scene(
                    "event?",
                    "they had been such good friends, and now it was over.",
                    "the {thing} lay in a corner, for it was no fun for one alone.",
                ),
            ),
        ),
    ),
)
