"""Decide the findings: `python scripts/findings.py [NAME|SOURCE ...] [--seeds N]`."""

import sys

from jsuper.cli.findings import findings

if __name__ == "__main__":
    sys.exit(findings())
