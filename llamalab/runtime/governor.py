"""When steps suddenly take many times as long, look again at how many threads they take.

Two threads that compute one product wait for each other at its end. If another program takes one of
their CPUs, both wait for it at every product, and a step can take ten times as long, while one
thread alone would hardly notice. So: SEVERAL steps in a row, each SLOW times as long as the median
before, are a reason to try the other number on the next ones, and to keep the faster. A run that
went down to one thread tries all of them again later, for as long as that is not slower, and ever
more rarely if it was.

A pure piece: it is told seconds and says a number, and touches neither torch nor a clock. Another
number of threads may add up the same numbers in another order, and so round differently.
"""

from collections import deque
from statistics import median

SLOW = 3.0  # times the median of earlier steps
SEVERAL = 3  # steps in a row
EARLIER = 50  # steps that the median is of, at most
LATER = 100  # steps until all threads are tried again; doubled whenever that was slower


class ThreadGovernor:
    """`threads` is the number that the next step should take: `most`, or 1."""

    def __init__(self, most: int, threads: int | None = None):
        self.most, self.threads = most, threads or most
        self.earlier: deque[float] = deque(maxlen=EARLIER)  # steps with this number of threads
        self.lately: list[float] = []  # of them the last ones, as long as each was slow
        self.tried: list[float] = []  # steps that are on trial
        self.on_trial, self.beaten, self.why = False, 0.0, ""
        self.wait, self.quiet = LATER, 0

    def after(self, seconds: float) -> str | None:
        """A step took so long. A sentence for the user if the number of threads is another now."""
        if self.most == 1:
            return None
        if self.on_trial:
            return self._judge(seconds)
        if len(self.earlier) >= SEVERAL and seconds > SLOW * median(self.earlier):
            self.lately.append(seconds)
            if len(self.lately) >= SEVERAL:
                took = f"{median(self.lately):.2f} s instead of {median(self.earlier):.2f}"
                self._try(median(self.lately), f"steps took {took}")
            return None
        self.earlier.append(seconds)
        self.lately = []
        self.quiet += 1
        if self.threads < self.most and self.quiet >= self.wait:
            self._try(median(self.earlier), "looked again")
        return None

    def _try(self, beaten: float, why: str) -> None:
        """The next steps take the other number, to be compared with `beaten` seconds."""
        self.beaten, self.why, self.tried, self.on_trial = beaten, why, [], True
        self.threads = self._other()

    def _judge(self, seconds: float) -> str | None:
        """One slower step ends a trial; SEVERAL that are not, and the other number is kept."""
        self.tried.append(seconds)
        better = seconds < self.beaten
        if better and len(self.tried) < SEVERAL:
            return None
        self.on_trial, self.lately, self.quiet = False, [], 0
        self.earlier.clear()  # of the other number, or of times that are gone
        if not better:
            self.threads = self._other()
            self.wait *= 2
            return None
        self.earlier.extend(self.tried)
        self.wait = LATER
        number = f"{self.threads} thread{'s' * (self.threads > 1)}"
        return f"{self.why}: now on {number}, {median(self.tried):.2f} s a step"

    def _other(self) -> int:
        return 1 if self.threads == self.most else self.most
