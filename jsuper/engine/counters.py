"""What the workers of a run have done so far, and where the time went."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field


@dataclass
class Progress:
    """What the workers have done so far; written by them, read by whoever reports it."""

    model_steps: int = 0
    models: int = 0
    non_finite: int = 0
    compiling: int = 0  # programs, now
    measuring: int = 0  # blocks whose final loss is being measured now
    compiles: int = 0
    compile_s: float = 0.0
    train_s: float = 0.0  # summed over workers
    evaluate_s: float = 0.0
    trained_s: float = 0.0  # from the start to the last step, without evaluation
    began: float = field(default_factory=time.perf_counter)
    evaluating: dict[int, float] = field(default_factory=dict)  # seconds so far, by worker
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, **amounts: float) -> None:
        """Add to several counters at once."""
        with self.lock:
            for name, amount in amounts.items():
                setattr(self, name, getattr(self, name) + amount)

    def segment_done(self) -> None:
        """Return a worker has trained some steps: no worker has been training for longer so far."""
        with self.lock:
            own = self.evaluating.get(threading.get_ident(), 0.0)
            self.trained_s = max(self.trained_s, time.perf_counter() - self.began - own)

    def evaluated(self, seconds: float, **amounts: float) -> None:
        """Return a worker has evaluated a block, and counts `amounts`."""
        self.add(evaluate_s=seconds, **amounts)
        with self.lock:
            worker = threading.get_ident()
            self.evaluating[worker] = self.evaluating.get(worker, 0.0) + seconds

    def timing(self, wall_s: float, workers: int) -> dict[str, float]:
        """Where the time of a run went.

        `train_s` and `evaluate_s` are sums over the workers; `trained_s` is the time from the start
        to the last step, less what the worker that took it had spent on evaluation by then.
        """
        names = ("model_steps", "models", "non_finite", "compiles", "compile_s", "train_s")
        counts = {name: getattr(self, name) for name in (*names, "evaluate_s", "trained_s")}
        return counts | {"wall_s": wall_s, "workers": workers}
