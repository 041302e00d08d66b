# SPDX-License-Identifier: Apache-2.0
"""How much is measured."""

from dataclasses import dataclass, replace

from benchmarks.harness.case import Case

# Of a benchmark in each process of a run with two builds: their median is one witness.
FEWEST_SAMPLES = 5


@dataclass(frozen=True)
class Settings:
    """The numbers of a run; the defaults are those of criterion, but for the caps."""

    samples: int = 100  # of each benchmark, over all processes, as the seconds are
    warm_up: float = 3.0  # seconds before the first sample
    measurement: float = 5.0  # seconds that all samples take together, if one call is short enough
    time_cap: float = 100.0  # seconds after which there are fewer samples; there is always one
    longest: float = 0.0  # a call that takes longer is left out; 0 leaves nothing out
    processes: int = 1  # fresh ones that share the samples: the rounds of a run with two builds

    def quick(self) -> "Settings":
        """Return what looks at everything within 3 minutes, and proves nothing."""
        return replace(self, samples=5, warm_up=0.0, measurement=0.05, time_cap=0.5, longest=0.3)

    @property
    def words(self) -> str:
        """All of it in a line."""
        return (
            f"{self.samples} samples asked for, warm-up {self.warm_up:g} s, measurement"
            f" {self.measurement:g} s, time cap {self.time_cap:g} s"
        )

    @property
    def is_quick(self) -> bool:
        return self.longest > 0

    def of_process(self) -> "Settings":
        """Return the part that each process measures."""
        if self.processes == 1:
            return self
        samples = max(self.samples // self.processes, FEWEST_SAMPLES)
        return replace(
            self,
            samples=samples,
            warm_up=self.warm_up / self.processes,
            measurement=self.measurement * samples / self.samples,
            time_cap=self.time_cap / self.processes,
        )

    def samples_of(self, seconds: float, pause: float = 0.0) -> int:
        """Return how many samples a benchmark gets whose blocks take, and wait, so long."""
        sample = max(seconds, self.measurement / self.samples * (pause == 0)) + pause
        return max(1, min(self.samples, int(self.time_cap / sample)))

    def leaves_out(self, case: Case) -> bool:
        return 0 < self.longest < case.seconds

    def expected_seconds(self, case: Case) -> float:
        """Estimate the time of one benchmark: preparing, warming up, measuring."""
        part = self.of_process()
        samples = part.samples_of(case.seconds)
        warm_up = max(part.warm_up, case.seconds) if samples > 1 else 0.0
        # Before its samples are taken the length of a block is looked for, for about one block.
        block = max(part.measurement / part.samples, case.seconds)
        return self.processes * (0.1 + 2 * case.seconds + warm_up + (1 + samples) * block)
