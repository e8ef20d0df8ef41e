"""The questions of notebook 03."""

from llamalab.course.engine import Option, Question, varying


@varying(100, 40, 250, 64, 170)
def rope_moved_text(n):
    return Question(
        "rope_moved_text",
        f"You put {n} tokens of other text before a sentence. What happens to the scores between "
        "the words of the sentence, in one layer, if their vectors are the same as before?",
        (
            Option(
                "They shrink: the words stand further from the beginning",
                "In RoPE nothing is measured from the beginning. Both the query and the key have "
                f"moved by {n}, and turned by the same further angle.",
            ),
            Option(
                "Nothing",
                "A score depends on the distance alone, and the distances inside the sentence are "
                "what they were.",
                right=True,
            ),
            Option(
                "They change wherever a hand has gone past a full turn",
                "A full turn of both hands changes nothing either: what counts is the angle "
                "between the two.",
            ),
        ),
    )


@varying(500, 320, 90, 750, 41)
def rope_cached_keys(n):
    return Question(
        "rope_cached_keys",
        f"The model has {n} keys in its cache and reads token {n + 1}. Which keys must be turned?",
        (
            Option(
                f"All {n + 1}: their distance to the new query is another one now",
                "It is, and the new query's own angle brings it in. A key's angle says where the "
                "key stands, and it has not moved.",
            ),
            Option(
                f"Only the new one, by the angle of place {n}",
                f"Counting from 0, token {n + 1} stands at place {n}. The others were turned when "
                "they came, and stay.",
                right=True,
            ),
            Option(
                "Only the new one, by the angle of place 0, since it comes alone",
                "That is the bug that no test finds whose positions always start at 0.",
            ),
        ),
    )


@varying(100, 50, 10, 20, 40)
def rope_larger_theta(k):
    return Question(
        "rope_larger_theta",
        f"You make theta {k} times larger and train on. Which hands does that change least?",
        (
            Option(
                "The fast ones: the first turns by one radian a position whatever theta is",
                "Its exponent is 0. The higher the pair, the more it is slowed; near neighbours "
                "are told apart as before.",
                right=True,
            ),
            Option(
                "The slow ones: they hardly move anyway",
                "In angle a position they change by little, but as a share they change most: the "
                f"last is nearly {k} times slower.",
            ),
            Option(
                "None: all are slowed by the same factor",
                "That is interpolation, where positions are divided. theta works through the "
                "exponent 2i/D, so each pair is slowed by its own factor.",
            ),
        ),
    )


QUIZ = (
    rope_moved_text,
    Question(
        "rope_why_not_v",
        "RoPE turns queries and keys. Why not the values too?",
        (
            Option(
                "It would cost too much",
                "It would cost what it costs for the keys, which is little. The reason is another.",
            ),
            Option(
                "Values are compared with nothing: turning them would only hand on their content "
                "turned by the place it stood at",
                "The distance appears where two turned vectors meet in a dot product. Values are "
                "added up as they are, and a word should hand on the same content wherever it "
                "stands.",
                right=True,
            ),
            Option(
                "Values are turned, by the output matrix wo",
                "wo is one fixed matrix for all places; it cannot turn by an angle that grows with "
                "the place.",
            ),
        ),
    ),
    Question(
        "rope_which_test",
        "Your RoPE keeps lengths, does nothing at place 0, and its scores depend on distances "
        "alone. What do you know about its layout?",
        (
            Option(
                "It must be Meta's: the three laws pin it down",
                "The half-split layout obeys all three. So does any pairing whatever.",
            ),
            Option(
                "Nothing: every pairing obeys the three",
                "Laws are cheap and catch much, but not this. Only numbers from a program that is "
                "known to fit the weights can tell, at late places.",
                right=True,
            ),
            Option(
                "Nothing, but the text would be gibberish from the first word if it were wrong",
                "At place 0 nothing is turned, and a few places on the slow pairs hardly are. The "
                "text starts well, and may even stay fluent.",
            ),
        ),
    ),
    rope_cached_keys,
    rope_larger_theta,
)
