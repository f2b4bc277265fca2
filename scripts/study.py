"""The older name of `scripts/findings.py`, for one release."""

import sys

from jsuper.cli.findings import study

if __name__ == "__main__":
    sys.exit(study())
