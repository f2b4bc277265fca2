"""A model family as small as can be, to show that the engine and the store know no family."""

from jsuper.core.family import Family

FAMILY = Family(
    "decay",
    spec="second_family.spec",
    train="second_family.train",
    measures="second_family.measures",
    page="second_family/page.js",
)
