"""The questions of notebook 01."""

from llamalab.course.engine import Option, Question, varying


@varying((32000, 4000), (16000, 2400), (8000, 1100), (1000, 61), (4096, 737))
def how_many_merges(pieces, characters):
    return Question(
        "how_many_merges",
        f"A vocabulary has {pieces:,} pieces: <unk>, <s>, </s>, the 256 bytes, {characters:,} "
        "single characters, and what was merged. How many merges had to be learned?",
        (
            Option(
                f"{pieces:,}: one for every piece",
                "The pieces that nothing was merged for are there from the start: three names, the "
                "bytes, and the characters.",
            ),
            Option(
                f"{pieces - 259 - characters:,}",
                f"{pieces:,} - 3 - 256 - {characters:,}. Each merge adds one piece, and takes none "
                "away: the two it was made of stay in the vocabulary.",
                right=True,
            ),
            Option(
                f"{(pieces - 259 - characters) // 2:,}: a merge uses up two pieces",
                "It uses them and leaves them where they are. A text in which they do not meet "
                "still needs both.",
            ),
        ),
    )


QUIZ = (
    Question(
        "hello_twice",
        "Llama 2 encodes “Hello” as 15043 and “ Hello” (with a space) as 29871 15043. Why is "
        "there an extra id, and not another one?",
        (
            Option(
                "Spaces are tokens of their own, words come after them",
                "A sensible picture, but then “Hello world” would have an id for its space. It "
                "has two ids, and the second, ▁world, begins with the space.",
            ),
            Option(
                "Encoding puts a space in front of every text, so “Hello” is ▁Hello already",
                "15043 is ▁Hello. A text that brings a space of its own is ▁▁Hello: one ▁ is left "
                "over, and 29871 is ▁.",
                right=True,
            ),
            Option(
                "15043 is the word at the start of a text, without a space",
                "Then “Say Hello” would need another id for its Hello. It is the same 15043: "
                "making the two alike is what the added space is for.",
            ),
        ),
    ),
    Question(
        "unseen_character",
        "A user sends 😀, which never occurred in the tokenizer's training text. What happens?",
        (
            Option(
                "It becomes <unk>, and the model sees that something unknown stood there",
                "Many tokenizers do that, and the text is lost. With byte fallback <unk> is "
                "never needed.",
            ),
            Option(
                "It becomes the four bytes of its UTF-8, one piece each",
                "240, 159, 152, 128, each plus 3: nothing is lost, and the model may even learn "
                "what the four mean together. It costs four tokens, and at the start of a text a "
                "lone ▁ before them.",
                right=True,
            ),
            Option(
                "Encoding stops with an error",
                "A tokenizer that refuses what people type would be of little use. 256 pieces are "
                "set aside so that this cannot happen.",
            ),
        ),
    ),
    Question(
        "typed_end",
        "With SentencePiece, a user types </s> into the chat. Does the model see the end of the "
        "text?",
        (
            Option(
                "Yes: </s> is in the vocabulary, with the id 2",
                "It is in the vocabulary, but as a control piece, which text is never matched "
                "with. If it were, anybody could end the conversation.",
            ),
            Option(
                "No: it becomes ordinary pieces, and the id 2 only ever comes from the program",
                "eos=True asks for it. What a person types stays text, whatever it looks like.",
                right=True,
            ),
            Option(
                "No: the tokenizer removes it",
                "Nothing is removed: the pieces spell out every character that was typed.",
            ),
        ),
    ),
    Question(
        "twice_the_vocabulary",
        "You double the vocabulary. What happens to the number of tokens in a text?",
        (
            Option(
                "It halves",
                "It would if every new piece were as useful as the old ones. But the frequent "
                "ones are learned first, so each doubling gains less than the one before.",
            ),
            Option(
                "It falls, by less at every doubling, while the embedding doubles",
                "That is the trade: shorter sequences against two larger matrices, and rows that "
                "are seen ever more rarely. Llama 2 stopped at 32,000.",
                right=True,
            ),
            Option(
                "Nothing: the text is the same",
                "The text is, its pieces are longer. Look at the falling gain in the figure.",
            ),
        ),
    ),
    how_many_merges,
)
