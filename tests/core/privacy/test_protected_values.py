"""Contents of columns under names that say nothing, and contents that only look alike."""

import json
from collections.abc import Sequence
from datetime import date, timedelta

import polars as pl
import pytest
from numpy.random import default_rng

from oferta.privacy.protected import find

N = 600
RNG = default_rng(1)


def drawn(text: str, weights: Sequence[float] | None = None) -> list[str]:
    kinds = [one.strip() for one in text.split("|")]
    return [str(one) for one in RNG.choice(kinds, N, p=weights)]


def births() -> list[date]:
    return [date(1940, 1, 1) + timedelta(days=int(one)) for one in RNG.integers(0, 24_000, N)]


PROTECTED = {
    "sex": [
        drawn("M|F"),
        drawn("m|f|u"),
        drawn("Male|Female"),
        drawn("MALE|FEMALE|Unknown"),
        drawn("男|女"),
        drawn("男性|女性|未知"),
        drawn("先生|女士"),
        drawn("Mr|Mrs|Ms|Dr"),
        drawn("Herr|Frau|Divers"),
        drawn("männlich|weiblich"),
        drawn("Homme|Femme"),
        drawn("H|F"),
        drawn("hombre|mujer"),
        drawn("Kobieta|Mężczyzna"),
        drawn("K|M"),
        drawn("M|W|D", [0.5, 0.48, 0.02]),
        drawn("male|female|JOINT", [0.6, 0.35, 0.05]),
        drawn("male|female|non-binary", [0.45, 0.5, 0.05]),
    ],
    "marital status": [
        drawn("single|married|divorced|widowed"),
        drawn("Single|Married"),
        drawn("M|S|D|W|U"),
        drawn("S|M|D"),
        drawn("已婚|未婚|离异"),
        drawn("ledig|verheiratet|geschieden|verwitwet"),
        drawn("Célibataire|Marié|Divorcé"),
        drawn("soltero|casado|viudo"),
        drawn("kawaler|żonaty|rozwiedziony"),
    ],
    "age": [
        births(),
        pl.Series(births()).cast(pl.Datetime("us", "UTC")).to_list(),
        [one.isoformat() for one in births()],
        [one.strftime("%d/%m/%Y") for one in births()],
        [one.strftime("%Y%m%d") for one in births()],
        [one.year for one in births()],
        [str(one.year) for one in births()],
        RNG.integers(18, 88, N).tolist(),
        RNG.integers(18, 88, N).astype(str).tolist(),
        RNG.integers(18, 88, N).astype(float).tolist(),
        drawn("18-24|25-34|35-44|45-54|55-64|65+"),
        drawn("under 25|25-39|40-54|55-64|65 and over"),
        drawn("18-30岁|31-45岁|46-60岁"),
        drawn("80后|90后|00后"),
        [f"11010119{70 + one % 30}0{1 + one % 9}1{one % 9}123X" for one in range(N)],
    ],
    "race": [
        drawn("White|Black|Asian|Hispanic|Other"),
        drawn("Caucasian|African American"),
        drawn("汉族|回族|满族|其他"),
    ],
    "religion": [
        drawn("Christian|Muslim|Hindu|None"),
        drawn("katholisch|evangelisch|konfessionslos"),
        drawn("佛教|基督教|无宗教信仰"),
    ],
    "national origin": [drawn("British|Polish|Indian|Pakistani"), drawn("German|Turkish|Syrian")],
    "sexual orientation": [drawn("heterosexual|gay|bisexual")],
    "gender identity": [drawn("cisgender|transgender|unknown")],
    "veteran status": [drawn("Veteran|Non-veteran"), drawn("退役军人|非军人")],
    "disability": [drawn("Disabled|Not disabled"), drawn("残疾|健全")],
    "health": [drawn("smoker|non-smoker")],
    "minors": [drawn("minor|adult")],
}

INNOCENT = {
    "how often paid": drawn("M|F|W|Q"),
    "how often paid, in words": drawn("monthly|fortnightly"),
    "how often reported": drawn("D|W|M"),
    "sizes": drawn("S|M|L|XL"),
    "colours of cars": drawn("White|Black|Red|Grey|Silver"),
    "black or white": drawn("white|black"),
    "premiums": drawn("single|regular"),
    "names on a policy": drawn("single|joint"),
    "yes or no": drawn("yes|no"),
    "letters": drawn("Y|N"),
    "grades": drawn("A|B|C|D"),
    "features": drawn("enabled|disabled"),
    "bands of income": drawn("Under 15K|15-24K|25-34K|35-49K|50-74K|75-99K"),
    "bands of utilisation": drawn("0-10|10-20|20-30|30-40|40-50"),
    "terms in months": RNG.choice([12, 24, 36, 48, 60, 72, 84], N).tolist(),
    "counts": RNG.poisson(3, N).tolist(),
    "per cent": RNG.integers(0, 101, N).tolist(),
    "days": RNG.integers(0, 3000, N).tolist(),
    "money": (RNG.random(N) * 90_000).tolist(),
    "shares": RNG.random(N).tolist(),
    "years of cars": RNG.integers(1998, 2026, N).tolist(),
    "years of opening": RNG.integers(1988, 2015, N).tolist(),
    "years of joining": RNG.integers(2001, 2025, N).tolist(),
    "dates of joining": [
        date(2005, 1, 1) + timedelta(days=int(one)) for one in RNG.integers(0, 7000, N)
    ],
    "codes": RNG.choice(["1X1H", "UAOD", "2A7I"], N).tolist(),
    "numbers of a code": RNG.integers(0, 10, N).tolist(),
    "regions": drawn("north|south|east|west"),
    "countries": drawn("Germany|France|Poland"),
    "provinces": drawn("北京|上海|广东"),
    "jobs": drawn("teacher|nurse|driver|clerk"),
    "stages": drawn("prospect|owner|lapsed"),
    "postcodes": RNG.integers(10_000, 99_999, N).tolist(),
    "free text": [f"note {one}" for one in range(N)],
    "nothing at all": [None] * N,
    "one value": ["M"] * N,
    "brackets that are no JSON": drawn("{open|[closed]"),
}


@pytest.mark.parametrize("attribute", PROTECTED)
def test_contents_give_a_protected_column_away(attribute: str) -> None:
    missed = [
        values[:4]
        for values in PROTECTED[attribute]
        if attribute not in {one.attribute for one in find(pl.DataFrame({"x7": values}), ["x7"])}
    ]
    assert missed == []


def test_contents_that_only_look_alike_are_let_through() -> None:
    found = {
        name: findings
        for name, values in INNOCENT.items()
        if (findings := find(pl.DataFrame({"x7": values}), ["x7"]))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("vehicle_year", [one.year for one in births()]),
        ("year_house_built_property", [one.year for one in births()]),
        ("language", drawn("German|French|Polish|Italian")),
        ("customer_income_k", RNG.integers(15, 110, N).tolist()),
        ("customer_since", births()),
        ("car_origin", drawn("German|French|Japanese|Korean")),
    ],
)
def test_a_name_that_speaks_of_a_thing_or_a_measure_explains_its_contents(
    name: str, values: list[int]
) -> None:
    assert find(pl.DataFrame({name: values}), [name]) == ()
    assert find(pl.DataFrame({"x7": values}), ["x7"])


def test_keys_and_values_inside_json_are_read() -> None:
    documents = [
        json.dumps({"person": {"gender": "F" if one % 2 else "M"}, "visits": one})
        for one in range(50)
    ]
    found = find(pl.DataFrame({"profile": documents}), ["profile"])
    assert {(one.column, one.attribute) for one in found} == {("profile", "sex")}
    assert "the name 'person.gender'" in found[0].how


def test_values_inside_json_are_read_where_keys_say_nothing() -> None:
    documents = [json.dumps([{"k1": "已婚" if one % 3 else "离异"}]) for one in range(50)]
    (found,) = find(pl.DataFrame({"profile": documents}), ["profile"])
    assert found.attribute == "marital status"


def test_nested_columns_are_read() -> None:
    frame = pl.DataFrame({"profile": [{"facts": [{"x": 1, "birth_yr": 1980}]}] * 5})
    (found,) = find(frame, ["profile"])
    assert found.attribute == "age"


def test_a_clerks_slip_does_not_hide_a_column() -> None:
    values = [*drawn("Male|Female"), "SEX", "entity", "03/12"]
    assert find(pl.DataFrame({"x7": values}), ["x7"])
