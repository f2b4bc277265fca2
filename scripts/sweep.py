"""Train a sweep: `python scripts/sweep.py --help`."""

import sys

from jsuper.cli.sweeping import sweep

if __name__ == "__main__":
    sys.exit(sweep())
