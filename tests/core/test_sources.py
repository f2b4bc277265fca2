from jsuper.analysis.statements import statements
from jsuper.claims.sources import CLAIMS
from jsuper.core.sources import SOURCES, citation


def test_every_claim_and_statement_has_a_source_with_a_citation():
    used = {c.source for c in CLAIMS} | {s.source for s in statements()}
    assert used == set(SOURCES)
    assert citation("003") == "Pona (2023)" and citation("a text of mine") == "a text of mine"
    assert str(SOURCES["003"]).startswith("Pona (2023), [Superposition and Dropout](https://")
