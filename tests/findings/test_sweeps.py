"""The sweeps behind the findings: presets with changed fields, and what is derived from them."""

import json
from pathlib import Path

import made_up
import numpy as np
import pytest
import xarray as xr

import jsuper
from jsuper.core.family import sweep_from_dict
from jsuper.findings import sweeps

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
TIMES = json.loads((RESULTS / "findings_time.json").read_text())["training"]


@pytest.mark.parametrize("name", sweeps.SWEEPS)
def test_every_sweep_is_a_preset_with_the_seeds_that_are_asked_for(name):
    planned = sweeps.SWEEPS[name]
    sweep = planned.sweep(3)
    assert sweep.seed_count == 3 * planned.times
    assert abs(planned.minutes - TIMES[name]) <= 0.1
    for field, value in planned.changed.items():
        assert np.array_equal(np.ravel(sweep.values_of(field)), np.ravel(value)), field
    assert planned.described.startswith(f"preset {planned.preset}")


def test_failed_fits_are_replaced_by_models_that_were_trained_for_longer():
    ds = made_up.study(seeds=3, activations=["relu", "exp"], sparsity=(0.5, 0.99))
    dims = ds["status"].dims
    ds["failed_fit"] = (dims, np.zeros(ds["status"].shape))
    longer = made_up.study(seeds=3, seed=1, activations=["exp"], sparsity=(0.99,))
    longer["failed_fit"] = (longer["status"].dims, np.zeros(longer["status"].shape))
    at = {"activation": "exp", "sparsity": 0.99}
    ds["failed_fit"].loc[at] = 1
    longer["failed_fit"].loc[at | {"seed": 2}] = 1
    found = sweeps.fitted({"activations": ds, "converged": longer})
    chosen = np.zeros(ds["status"].shape, bool)
    chosen[1, 1, :2] = True
    np.testing.assert_array_equal(found["trained_longer"], chosen)
    for name in ("excess", "loss_over_constant"):
        wide = longer[name].reindex_like(ds)
        np.testing.assert_array_equal(found[name], xr.where(chosen, wide, ds[name]))
    assert float(found["failed_fit"].sum()) == 1
    np.testing.assert_array_equal(found["W"].sel(at | {"seed": 0}), longer["W"].sel(at)[0])
    assert found["W"].dims == ds["W"].dims


def test_what_is_derived_needs_its_parts_in_training_order():
    assert sweeps.needed(("roe", "fitted")) == ("activations", "converged", "roe")


def test_unknown_sweeps_and_folders_with_too_few_seeds_are_refused(tmp_path):
    with pytest.raises(ValueError, match="sweep 'roo' is not known"):
        sweeps.load(tmp_path, ("roo",), 2)
    given = dict(rank=1, pairs=1, steps=5, seeds=3)
    jsuper.run(
        sweep_from_dict({"model": "factorization"} | given), tmp_path / "scurves", progress=False
    )
    with pytest.raises(ValueError, match="has 3 seeds and 5 are needed"):
        sweeps.load(tmp_path, ("scurves",), 1)
