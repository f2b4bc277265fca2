"""How a run is asked to stop: at once, or with a grace for what is nearly done."""

from __future__ import annotations

import time


class Stop:
    """A request to stop, which signal handlers make and workers see.

    Once it is made no new block begins. A block that is being trained goes on while it is expected
    to end within the grace.
    """

    def __init__(self) -> None:
        self._until: float | None = None

    def set(self, grace: float = 0.0) -> None:
        """Stop within `grace` seconds; of several requests the earliest end holds."""
        until = time.monotonic() + grace
        self._until = until if self._until is None else min(self._until, until)

    def is_set(self) -> bool:
        """Return whether somebody has asked."""
        return self._until is not None

    def allows(self, seconds: float) -> bool:
        """Return whether work of so many more seconds may go on: always, before somebody asks."""
        return self._until is None or time.monotonic() + seconds <= self._until
