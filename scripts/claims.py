"""The older name of `scripts/findings.py`, for one release."""

import sys

from jsuper.cli.findings import claims

if __name__ == "__main__":
    sys.exit(claims())
