"""Scrub a run's models causally: `python scripts/scrub.py RUN`."""

import sys

from jsuper.cli.commands import scrub

if __name__ == "__main__":
    sys.exit(scrub())
