"""Questions put to sweeps, and a page with the answers.

A study is a module with

    PRESETS     the sweeps that it needs, by name of their preset
    TITLE       of its page
    TEXT        what the page says first: Markdown, no numbers that a run could change
    answers(runs) -> list[Answer]     runs: preset -> Dataset of `jsuper.analyze`
    tables(runs) -> list[Table]       for what is no single number; a study may have none
    figures(runs) -> list[Drawing]

`python scripts/study.py NAME` runs the presets that are missing, and writes docs/NAME.md, its
figures, and docs/NAME.json, from which every number of the page is taken.
"""
