"""What a process uses: time and memory, as the system counts them."""

import time

import psutil


class Watch:
    """What a process has used since it was last asked."""

    def __init__(self, pid: int):
        self.process = psutil.Process(pid)
        self.begin()

    def begin(self) -> None:
        self.clock, self.work = time.monotonic(), self._work()

    @property
    def seconds(self) -> float:
        return max(self._work() - self.work, (time.monotonic() - self.clock) / 3)

    @property
    def bytes(self) -> int:
        try:
            return self.process.memory_info().rss
        except psutil.Error:
            return 0

    def _work(self) -> float:
        try:
            times = self.process.cpu_times()
        except psutil.Error:
            return 0.0
        return times.user + times.system
