"""The table of claims, in the order of the sources."""

from __future__ import annotations

from jsuper.claims import (
    _002_attributes,
    _002_losses,
    _002_negative,
    _002_others,
    _002_properties,
    _002_sigmoids,
    _002_softmaxes,
    _003_dropout,
    _004_bumps,
    _004_low_rank,
    _gelu,
)
from jsuper.claims.claim import Claim

CLAIMS: tuple[Claim, ...] = (
    *_gelu.CLAIMS,
    *_002_losses.CLAIMS,
    *_002_attributes.CLAIMS,
    *_002_properties.CLAIMS,
    *_002_negative.CLAIMS,
    *_002_sigmoids.CLAIMS,
    *_002_softmaxes.CLAIMS,
    *_002_others.CLAIMS,
    *_003_dropout.CLAIMS,
    *_004_low_rank.CLAIMS,
    *_004_bumps.CLAIMS,
)
