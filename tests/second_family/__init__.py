"""A model family as small as can be, to show that the engine and the store know no family."""

from jsuper.core.families import Family

FAMILY = Family(
    spec="second_family.spec",
    train="second_family.train",
    measures="second_family.measures",
    figures="second_family.figures",
    page="second_family/page.js",
)
