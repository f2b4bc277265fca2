"""What commands and errors say: for several files of tests."""

import re

from jsuper.cli import main


def call(arguments):
    """The exit code of `jsuper ARGUMENTS` in this process."""
    try:
        return main.main(arguments)
    except SystemExit as stop:
        return stop.code


def assert_says(message, *patterns):
    for pattern in patterns:
        assert re.search(pattern, message, re.DOTALL), f"{pattern!r} is not in {message!r}"
