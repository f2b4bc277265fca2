import pytest

from jsuper.analysis import curves, hypotheses


@pytest.mark.parametrize(
    "module, former, present",
    [(hypotheses, "ready", "standard_hypotheses")]
    + [(curves, "bumps", "count_bumps"), (curves, "drops", "count_drops")],
)
def test_a_former_name_warns_and_is_the_present_one(module, former, present):
    with pytest.warns(DeprecationWarning, match=f"{former} is now {present}"):
        assert getattr(module, former) is getattr(module, present)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'jsuper.analysis.curves' has no attribute"):
        curves.bump  # noqa: B018
