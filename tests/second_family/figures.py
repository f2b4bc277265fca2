"""The figures of its page: none."""


def figures(ds):
    return []
