"""Validate a claims.json before the page shows it, because run folders may come from others."""

from __future__ import annotations

from jsuper.core.json_data import JSON, JSONObject
from jsuper.core.text import shown

VERDICTS = ("supported", "contradicted", "undecided", "not testable")
MAX_CLAIMS, MAX_PARTS, MAX_SEEDS = 1000, 100, 10**6
MAX_CHARACTERS = 10_000
LARGEST = 1e30
TEXTS = ("name", "source", "claim", "verdict", "why", "unit", "note")
NUMBERS = ("value", "low", "high")


def validate_claims(data: JSON) -> list[JSONObject]:
    """Return the claims of parsed JSON.

    Raises
    ------
    ValueError
        A field differs from what `jsuper claims` writes.
    """
    claims = data["claims"] if isinstance(data, dict) and "claims" in data else None
    if not isinstance(claims, list) or len(claims) > MAX_CLAIMS:
        raise ValueError(f"the list 'claims' is missing or has more than {MAX_CLAIMS:,} entries")
    for i, claim in enumerate(claims):
        _check_claim(f"claims[{i}]", claim)
    return claims


def _check_claim(where: str, claim: JSON) -> None:
    _check_texts(where, claim, TEXTS)
    _check_number(f"{where}.p", claim.get("p"))
    if "protocol" in claim:
        _check_texts(f"{where}.protocol", claim["protocol"], ("verdict",))
    if claim["verdict"] not in VERDICTS:
        _refuse(f"{where}.verdict", claim["verdict"], f"one of {', '.join(VERDICTS)}")
    for j, part in enumerate(_list(f"{where}.parts", claim.get("parts"), MAX_PARTS)):
        _check_part(f"{where}.parts[{j}]", part)


def _check_part(where: str, part: JSON) -> None:
    _check_texts(where, part, ("label", "verdict"))
    if part["verdict"] not in VERDICTS:
        _refuse(f"{where}.verdict", part["verdict"], f"one of {', '.join(VERDICTS)}")
    margins = _list(f"{where}.margins", part.get("margins"), 2)
    values = _list(f"{where}.values", part.get("values"), MAX_SEEDS)
    if len(margins) != 2:
        _refuse(f"{where}.margins", margins, "a pair")
    for name in NUMBERS:
        if name not in part:
            _refuse(f"{where}.{name}", None, "given")
        _check_number(f"{where}.{name}", part[name])
    if part["value"] is not None and None in (part["low"], part["high"]):
        _refuse(f"{where}.value", part["value"], "without its interval")
    for name, numbers in (("margins", margins), ("values", values)):
        for k, number in enumerate(numbers):
            if number is None and name == "values":
                _refuse(f"{where}.values[{k}]", None, "a number")
            _check_number(f"{where}.{name}[{k}]", number)


def _check_texts(where: str, data: JSON, names: tuple[str, ...]) -> None:
    if not isinstance(data, dict):
        _refuse(where, data, "a table")
    for name in names:
        text = data.get(name)
        if not isinstance(text, str) or len(text) > MAX_CHARACTERS:
            _refuse(f"{where}.{name}", text, f"a text of at most {MAX_CHARACTERS:,} characters")


def _check_number(where: str, value: JSON) -> None:
    """Raise ValueError unless a value is None or a number that a figure can show."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST:
        _refuse(where, value, f"a number with an absolute value below {LARGEST:g}")


def _list(where: str, value: JSON, most: int) -> list[JSON]:
    if not isinstance(value, list) or len(value) > most:
        _refuse(where, value, f"a list of at most {most:,}")
    return value


def _refuse(where: str, value: JSON, allowed: str) -> None:
    raise ValueError(f"{where}={shown(value)} is not {allowed}")
