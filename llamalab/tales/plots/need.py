"""A helper in need: somebody cannot go on alone."""

# ruff: noqa: E501, a sentence is read whole

from .shape import Branch, Plot, scene

NEED = Plot(
    name="helper in need",
    owns=False,
    picks={
        "cause": (
            "the load was far too heavy",
            "{ohe} had hurt {ohis} back",
            "a wheel of the cart was stuck in the mud",
            "{ohis} hands were stiff with cold",
        ),
        "chore": (
            "to bring in the wood",
            "to gather the apples",
            "to push the cart home",
            "to carry the sacks inside",
            "to find three lost sheep",
        ),
    },
    problem="{helper} needed help",
    cause="{cause}",
    begin=(
        scene("go"),
        scene(
            "event",
            "there they met {a_helper}, who could not go on, because {cause}.",
            "{a_helper} sat at the side of the road. {Ohe} looked tired, because {cause}.",
            '"oh dear, oh dear," said a voice. It was {a_helper}. {Ohe} needed help, because {cause}.',
        ),
        scene(
            "talk",
            '"can you help me {chore}?" asked {role}.',
            '"good children," said {role}, "I still have {chore} before night."',
            '"my grandfather always said: Ask for help when you need it," said {role}. "So I ask. I have {chore}."',
        ),
    ),
    ways=(
        Branch(
            name="helps and is thanked",
            kind=True,
            happy=True,
            deed="{H} helped {helper}",
            doer="H",
            receiver="O",
            lessons=(
                "who helps others is never poor",
                "many hands make light work",
            ),
            scenes=(
                scene(
                    "turn?",
                    '"we were going to play," whispered {F}. But {H} rolled up {his} sleeves.',
                    '"of course we can," said {H} at once.',
                    "{H} looked at {F}, and {F} nodded.",
                ),
                scene(
                    "deed",
                    "they helped {role} for an hour, until their cheeks were red.",
                    "{H} and {F} helped {chore}, and they sang as they worked.",
                    "so {H} helped on one side, and {F} helped on the other.",
                ),
                scene(
                    "result",
                    '"you have good hearts," said {role}, and gave {H} {a_thing}.',
                    'then {role} opened a chest and gave {H} {a_thing}. "For my little helper," {ohe} said.',
                ),
                scene(
                    "event?",
                    "{H} {used} the {thing} all the way home.",
                    '"we will take turns with the {noun}," {H} told {F}.',
                    "never had there been a finer {noun}.",
                ),
            ),
        ),
        Branch(
            name="walks past",
            kind=False,
            happy=False,
            deed="{H} laughed at {helper} and walked past",
            doer="H",
            receiver="O",
            lessons=(
                "those who do not help may need help themselves",
                "kindness is a seed, and one must sow it",
            ),
            scenes=(
                scene(
                    "deed",
                    '{H} laughed at {role} and walked past. "We have no time," {he} said.',
                    '"do it yourself," said {H}. {He} laughed at {ohim}, and they walked on.',
                    '"that looks like hard work," said {H}. {He} laughed at {role} and ran on.',
                ),
                scene(
                    "turn",
                    "farther on {H} lost {a_thing} that {he} had got from {his} mother.",
                    "on the way home {H} dropped {a_thing}, a present from {his} father, into a ditch.",
                ),
                scene(
                    "event",
                    '"please, who will help me look for it?" {he} called. But nobody came.',
                    "{role} came by with a lamp, but did not stop. {H} could not blame {ohim}.",
                    "it grew dark, and all the doors were shut.",
                ),
                scene(
                    "result?",
                    "{H} had to go home without the {thing}.",
                    '"now I know how it feels," {he} said to {F}.',
                ),
            ),
        ),
        Branch(
            name="walks past, turns back",
            kind=True,
            happy=True,
            deed="{H} turned back and helped {helper}",
            doer="H",
            receiver="O",
            lessons=(
                "one can always turn back",
                "a good deed is not hard once it is begun",
            ),
            scenes=(
                scene(
                    "deed",
                    '"we have no time," said {H}, and they left {role} alone.',
                    "they left {ohim} alone and walked on, for they wanted to play.",
                    '"somebody else can do it," said {H}, and they left {role} alone.',
                ),
                scene(
                    "feeling",
                    "but with every step {H} felt worse.",
                    "but {H} did not enjoy the walk. {He} was {low}.",
                ),
                scene(
                    "turn",
                    '"let us go back," {H} said to {F}. "I am sorry," {he} told {role}, and they helped {chore}.',
                    '{H} stopped, turned round and ran. "I am sorry," {he} called. "Now we will help." And they helped until dusk.',
                ),
                scene(
                    "result",
                    "{role} was not angry. {Ohe} gave them {a_thing} to play with.",
                    "as a reward {role} gave {him} {a_thing}, and {F} got some {food}.",
                    '"now I see who you really are," said {role}, and gave {him} {a_thing}.',
                ),
            ),
        ),
    ),
)
