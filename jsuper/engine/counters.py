"""What the workers of a run have done so far, and where the time went."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field

from jsuper.core.choices import Choice

RECENT_SECONDS = 10.0  # of training, over which the present speed is an average


@dataclass
class Progress:
    """What the workers have done so far; written by them, read by whoever reports it."""

    model_steps: int = 0
    work: float = 0.0  # core-seconds of these steps on the reference machine, see estimates.py
    recent_s: float = 0.0  # seconds and work of the latest steps, older ones count less
    recent_work: float = 0.0
    models: int = 0
    non_finite: int = 0
    compiling: int = 0  # programs, now
    traced: int = 0  # programs whose training is traced, or could not be
    measuring: int = 0  # blocks whose final loss is being measured now
    compiles: int = 0
    compile_s: float = 0.0
    train_s: float = 0.0  # summed over workers
    evaluate_s: float = 0.0
    trained_s: float = 0.0  # from the start to the last step, without evaluation
    began: float = field(default_factory=time.perf_counter)
    choices: dict[str, Choice] = field(default_factory=dict)  # of kernels, by program
    evaluating: dict[int, float] = field(default_factory=dict)  # seconds so far, by worker
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def slowness(self) -> float:
        """Seconds of the latest steps, divided by those of the reference machine."""
        return self.recent_s / self.recent_work

    def elapsed(self) -> float:
        """Return the seconds since the start."""
        return time.perf_counter() - self.began

    def add(self, **amounts: float) -> None:
        """Add to several counters at once."""
        with self.lock:
            for name, amount in amounts.items():
                setattr(self, name, getattr(self, name) + amount)

    def segment_done(self, model_steps: int, work: float, seconds: float) -> None:
        """Count some steps of a worker."""
        self.add(model_steps=model_steps, work=work, train_s=seconds)
        with self.lock:
            rest = math.exp(-seconds / RECENT_SECONDS)
            self.recent_s = rest * self.recent_s + seconds
            self.recent_work = rest * self.recent_work + work
            own = self.evaluating.get(threading.get_ident(), 0.0)
            self.trained_s = max(self.trained_s, self.elapsed() - own)

    def evaluated(self, seconds: float, **amounts: float) -> None:
        """Count that a worker has evaluated a block, and `amounts`."""
        self.add(evaluate_s=seconds, **amounts)
        with self.lock:
            worker = threading.get_ident()
            self.evaluating[worker] = self.evaluating.get(worker, 0.0) + seconds

    def timing(self, wall_s: float, workers: int) -> dict[str, float]:
        """Return where the time of a run went.

        `train_s` and `evaluate_s` are sums over the workers; `trained_s` is the time from the start
        to the last step, less what the worker that took it had spent on evaluation by then.
        """
        names = ("model_steps", "models", "non_finite", "compiles", "compile_s", "train_s")
        counts = {name: getattr(self, name) for name in (*names, "evaluate_s", "trained_s")}
        return counts | {"wall_s": wall_s, "workers": workers}
