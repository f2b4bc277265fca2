"""`python -m jsuper COMMAND`: the same as `jsuper COMMAND`."""

import sys

from jsuper.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
