"""What every finding has to pass: data made so that it is right, or wrong, and its placebos."""

from jsuper.findings.judging import judge
from jsuper.findings.placebo import MOST, supported_placebos


def check(finding, true, false):
    """The verdicts of two constructions, and placebos of the first."""
    for verdict, data in {"supported": true, "contradicted": false}.items():
        (found,) = judge([finding], data)
        assert found.verdict == verdict, found.why
        assert found.why and finding.question.endswith("?")
        assert found.note
    assert supported_placebos(finding, true) <= MOST
