"""The smallest model family: x decays to zero. The engine and the store know nothing of it."""

from jsuper import Family

FAMILY = Family(
    "decay",
    spec="second_family.spec",
    train="second_family.train",
    measures="second_family.measures",
    page="second_family/page.js",
)
