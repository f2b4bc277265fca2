"""Write a run's page: `python scripts/report.py RUN`."""

import sys

from jsuper.cli.commands import report

if __name__ == "__main__":
    sys.exit(report())
