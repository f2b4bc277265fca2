"""Answer a study's questions: `python scripts/study.py gelu`."""

import sys

from jsuper.cli.commands import study

if __name__ == "__main__":
    sys.exit(study())
