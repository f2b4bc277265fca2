"""Decide the sources' claims: `python scripts/claims.py [--seeds N] [--out DIR]`."""

import sys

from jsuper.cli.claims import claims

if __name__ == "__main__":
    sys.exit(claims())
