# ruff: noqa: E501, a sentence is read whole
"""How a story begins and how it ends, whatever happens between.

An opening introduces the hero, the friend and, if the hero owns it from the start, the thing.
`{one_day}` then starts the plot; after an opening that has named a time it says "a little later".
An ending names how the hero feels and looks beyond the day.
"""

HERO = (
    "once upon a time there was a {trait} {girl} named {H}, who lived [in a small house|in a little cottage|in an old house] {home_at}.",
    "there was once a {trait} {girl} called {H}. {He} lived [with {his} mother|with {his} father|with {his} grandmother] {home_at}.",
    "{H} was a {trait} {girl} who lived {home_at}.",
    "{H} lived {home_at}, where {home_sight}. {He} was a {trait} {girl} [with a warm heart|with bright eyes|who liked to laugh|who asked many questions].",
    "[in a small house|in a little cottage|in a house with a green door] {home_at} lived a {trait} {girl} named {H}.",
    "{home_at}, where {home_sight}, there lived a {girl} named {H}.",
    "they say that a {trait} {girl} called {H} once lived {home_at}, [in a house without a clock|in the smallest house of all|where {home_sight}].",
    "do you know the story of a {girl} named {H}? {He} was a {trait} child and lived {home_at}[, where {home_sight}|].",
    "long ago, a {trait} {girl} called {H} lived {home_at}.",
)

# "{who}" is the hero, by name after an opening that names both children.
THING = (
    "{who} had {a_thing}, and {he} [loved it more than anything|took it everywhere|would not have given it away for a sack of gold].",
    "there was one thing {who} loved most of all: {a_thing}.",
    "on {his} birthday {who} got {a_thing} from {his} [grandmother|father|aunt], and {he} was {glad}.",
    "{whose} [grandfather|mother|uncle] had given {him} {a_thing}, and {he} was {glad} whenever {he} {used} it.",
    "all winter long {who} had wished for {a_thing}, and now {he} had one.",
    "{who} owned {a_thing}, the best in the whole village.",
)

FRIEND = (
    "{his} {friend} {F} [came to play every day|was never far away|knew all the best games|was always ready for fun].",
    "{F}, {his} {friend}, was a {ftrait} {fgirl}.",
    "{H} had a {friend} called {F}, and the two of them [were together from morning to night|did everything together|could talk for hours].",
    "{his} {friend} was a {ftrait} {fgirl} named {F}.",
    "{H} and {his} {friend} {F} [played together whenever they could|told each other everything|went out together in all weathers].",
    '{his} {friend} was a {ftrait} {fgirl} named {F}. "{F}! {F}!" {he} called every morning.',
    '{his} {friend} {F} lived next door. "{H}! {H}!" {fhe} [called|cried] when the sun came up.',
)

# Now and then the friend owns something, too: two things to keep apart.
FRIEND_TOO = (
    "{his} {friend} {F} had {a_thing2}, and each of them thought that nothing could be finer.",
    "{F}, {his} {friend}, was a {ftrait} {fgirl} with {a_thing2}.",
    "{H} had a {friend} called {F}, who owned {a_thing2}.",
)
GO_TOO = (
    "{one_day} they went {to}, {H} with the {thing} and {F} with the {thing2}.",
    "{one_day} {H} took the {thing} and {F} took the {thing2}, and off they went {to}.",
    '{one_day} {F} called: "{H}! {H}! Let us go {to}!" So {H} took the {thing} and {F} took the {thing2}, and off they went.',
)
LAST_TOO = (
    "the next day {F} let {H} {use2} the {thing2}, too.",
    '"and tomorrow you may {use2} my {thing2}," said {F}.',
    "from then on {H} could {use2} the {thing2} of {F} whenever {he} liked.",
)

# Openings that do more than one of these at once. The first kind leaves the time open.
OWNER_FIRST = (
    '"look what I have!" [cried|called] {H}, a {trait} {girl} who lived {home_at}. It was {a_thing}, and {he} was {glad}.',
    '"come and see!" [cried|called|shouted] {H}, a {trait} {girl} from a house {home_at}. {He} had {a_thing}.',
    "everyone {home_at} knew {H}, the {girl} with {a_thing}.",
    "a {trait} {girl} named {H} had {a_thing}. {He} [kept it beside {his} bed|never went out without it|showed it to everyone].",
    "{H} was a {trait} {girl}, and {he} had {a_thing}.",
)
PAIR_FIRST = (
    "once there were two children, a {girl} called {H} and a {fgirl} called {F}, who [lived side by side|played together every day] {home_at}.",
    "{H} was a {trait} {girl}, and {F} was a {ftrait} {fgirl}. They [had always lived|had grown up together] {home_at}.",
    '"{F}! {F}! Wait for me!" called {H}, a {trait} {girl} with quick feet. "Then hurry up!" laughed {his} {friend} {F}.',
)
QUICK_OWNER = (
    "a {trait} {girl} named {H} had two treasures: {a_thing} and {his} {friend} {F}.",
    "once there was a {girl} named {H} who had {a_thing} and a {friend} called {F}.",
    "{H} was a {trait} {girl} with {a_thing}, and {F} was {his} {friend}.",
    "this is the story of a {girl} named {H}, {his} {friend} {F} and {a_thing} that was {his} pride.",
)
QUICK_PAIR = (
    "a {girl} named {H} and a {fgirl} named {F} lived {home_at}, where {home_sight}.",
    "{H}, a {trait} {girl}, and {F}, a {ftrait} {fgirl}, were the best of friends.",
    "this is the story of a {girl} named {H} and {his} {friend} {F}.",
    "{home_at} lived a {girl} named {H}, and next door lived {his} {friend} {F}.",
)
# The second kind has named a day already.
DAY_OWNER = (
    "one {weather} {time}, a {trait} {girl} named {H} [sat|stood] {home_at} with {a_thing} beside {him}.",
    "the sun had just come up when a {trait} {girl} named {H} ran out of the house with {a_thing}.",
    "it had rained all night, but now it was a {weather} {time}. A {girl} named {H} took out {a_thing} and was {glad}.",
    "it was a {weather} {time}, and a {girl} called {H} was {glad}, for {he} had {a_thing}.",
    "one {weather} {time}, a {trait} {girl} named {H} opened a box and found {a_thing} in it. It was a present from {his} [uncle|aunt|grandmother].",
)
DAY_PAIR = (
    'one {weather} {time}, a {girl} called {H} knocked at the door of {his} {friend} {F}. "{F}! {F}! Come out and play!" {he} [called|cried].',
    "the sun had just come up when a {trait} {girl} called {H} met {his} {friend} {F} at the gate.",
    '"what shall we do today?" asked a {trait} {girl} named {H}. "Let us go out," said {his} {friend} {F}.',
    "it was a {weather} {time}. A {girl} named {H} and {his} {friend} {F} sat {home_at} and wondered what to do.",
)
ONE_DAY = (
    "one {weather} {time},",
    "one day,",
    "then, one {weather} {time},",
    "one {weather} {time} in spring,",
    "on a {weather} {time},",
    "early one {weather} morning,",
)
LATER = ("a little later,", "soon after,", "that same day,", "before long,")

# Children are called twice, as they are. It also teaches: the second "{H}!" is the first thing that a
# small model learns to copy, since what it has to copy is always two places back.
GO = (
    "{one_day} {H} and {F} [walked|went|ran] {to}[, where {sight}|].",
    '{one_day} {H} [said|asked]: "{F}, {F}, shall we go {to}?" So they [set off|went there hand in hand].',
    '{one_day} {F} called from the gate: "{H}! {H}! Shall we go {to}?" So they [set off|ran all the way].',
    '{one_day} {H} ran to the door of {F}. "{F}! {F}! Let us go {to}," {he} called. So off they went.',
    '{one_day} {F} wanted to go out. "{H}! {H}!" {fhe} called, and the two of them [walked|went|ran] {to}[, where {sight}|].',
)
GO_WITH = (
    "{one_day} {H} [took the {thing} {to}, and {F} came along|and {F} went {to} with the {thing}].",
    "{one_day} {H} wanted to {use} the {thing}, so {he} went {to} with {F}[, where {sight}|].",
    '{one_day} {F} said: "{H}, {H}, bring the {thing}! Let us go {to}." So off they went.',
    '{one_day} {F} called from the gate: "{H}! {H}! Bring the {thing}, and let us go {to}." So off they went.',
    '{one_day} {H} called from the window: "{F}! {F}! Let us go {to} with the {thing}." So they went.',
    '{one_day} {H} wanted to {use} the {thing}. "{F}! {F}!" {he} called, and they went {to} together[, where {sight}|].',
)

HAPPY = (
    "that night {H} fell asleep [with a smile|at once], {end} and [tired|warm].",
    "from that day on {H} and {F} were closer than ever, and both were {end}.",
    "{H} was {end}, and {he} never forgot that day.",
    "and so the day ended [in a red sunset|with a good supper|under a round moon], and both children were {end}.",
    "{H} had learned that {lesson}, and {he} was {end}.",
    '"{H}, {H}, what a story that will make!" said {F} that evening, and {H} [laughed|smiled], for {he} was {end}.',
    "ever since that day {H} has known that {lesson}, and it makes {him} {end}.",
    "that evening {H} sang all the way to bed, {end} and [tired|warm].",
    "{H} and {F} talked of it for many weeks after that, and each time {H} was {end}.",
    '{H} told the story at supper, {end} from head to toe. "I will never forget it," {he} said.',
)
SAD = (
    "that night {H} lay awake for a long time, and {he} was {end}.",
    "from that day on {H} was often {end} when {he} thought of it.",
    "{H} was {end}, and {he} never forgot that day.",
    "and so the day ended [in a grey dusk|without a song|in silence], and {H} was {end}.",
    "{H} looked back at that day many times, and each time {he} was {end}.",
    "{H} had learned that {lesson}, but {he} was {end} all the same.",
    "ever since that day {H} has known that {lesson}, and it still makes {him} {end}.",
    "at supper {H} ate nothing, for {he} was {end}. {He} would never forget that day.",
    "{H} did not sing for many days after that, for {he} was {end}.",
    '"{H}? {H}?" asked {F} that evening. But {H} said nothing, for {he} was {end}.',
    "that evening {H} sat at the window, {end}, and watched the [rain|stars|moon].",
)
