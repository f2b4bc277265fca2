"""The table of claims, in the order of the sources."""

from __future__ import annotations

from jsuper.claims import _002_negative
from jsuper.claims.claim import Claim

CLAIMS: tuple[Claim, ...] = (*_002_negative.CLAIMS,)
