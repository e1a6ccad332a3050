"""A simulation in words: the answer in a sentence, figures as text."""

from oferta.evaluation.intervals import Interval
from oferta_experiments.study.report.tables import Table
from oferta_experiments.study.report.words import (
    NOTHING,
    chance,
    listed,
    percent,
    plain,
    signed,
    whole,
)
from oferta_experiments.world.simulate.policies import MEANINGS
from oferta_experiments.world.simulate.result import ArmResult, Gap, Simulation

_LEVEL = 0.05
_MINUS = "\N{MINUS SIGN}\N{WORD JOINER}"
_MONTHS = {1: "one month", 2: "two months", 3: "three months", 6: "six months", 12: "a year"}


def answer(result: Simulation) -> str:
    """What came of it, in a sentence."""
    gaps = {one.than: one for one in result.gaps}
    rivals = [gaps["popularity"], gaps["random"]]
    time = _MONTHS.get(len(result.months), f"{len(result.months)} months")
    figures = " and ".join(
        f"{money(one.earned.interval.mean)} more than {named(one)}" for one in rivals
    )
    if all(ahead(one) for one in rivals):
        return f"Over {time} the policy earns {figures}, a customer."
    behind = [named(one) for one in rivals if not ahead(one)]
    return f"The policy is not shown to earn more than {listed(behind)} over {time}."


def uplift_sentence(result: Simulation) -> str:
    """What the control group says, and whether that is so."""
    found = result.uplift
    held = "holds" if found.agrees else "misses"
    return (
        f"Against a control group of {percent(found.share)} the uplift is measured as "
        f"{money(found.measured.mean)} a customer ({money_ends(found.measured)}), which {held} the "
        f"true {money(found.true.mean)}."
    )


def uplift_note(result: Simulation) -> str:
    """How far a control group of this size can be believed."""
    found = result.uplift
    note = (
        f"Of 400 other draws of such a group, {percent(found.coverage)} have an interval that "
        "holds the true uplift"
    )
    if found.enough is None:
        return f"{note}."
    return (
        f"{note}; about {whole(found.enough)} customers would be needed for it to tell this uplift "
        f"from none ({whole(found.treated + found.control)} are here)."
    )


def ahead(gap: Gap) -> bool:
    """Whether the policy earns more, and not by chance."""
    return gap.earned.interval.low > 0 and gap.earned.p_value < _LEVEL


def named(gap: Gap) -> str:
    """The other arm, as a sentence has it."""
    words = {"popularity": "popularity", "random": "random eligible offers", "nothing": "no offers"}
    return words[gap.than]


def money(value: float) -> str:
    """`€12.40`."""
    # Joined, so that no line ends between sign and figure.
    return f"{_MINUS if value < 0 else ''}€{plain(abs(value), 2)}"


def money_ends(interval: Interval) -> str:
    """`€9.66 to €16.54`."""
    return f"{money(interval.low)} to {money(interval.high)}"


def gained(value: float) -> str:
    """`+12.40`."""
    return signed(value, 2)


def arms_table(result: Simulation) -> Table:
    """What each arm did, and what came of it."""
    heads = (
        "policy", "met", "offered", "accepted", "true P(accept)", "stated P(accept)", "approved",
        "true default", "worth of an offer", "earned a customer", "95 % interval",
    )  # fmt: skip
    return Table(heads, tuple(_arm(one) for one in result.arms), figures=10)


def _arm(one: ArmResult) -> tuple[str, ...]:
    per_offer = money(one.worth_each) if one.offered else NOTHING
    return (
        one.name,
        whole(one.met),
        whole(one.offered),
        whole(one.accepted),
        percent(one.true, 1) if one.offered else NOTHING,
        percent(one.said, 1) if one.offered else NOTHING,
        NOTHING if one.approved is None else percent(one.approved),
        NOTHING if one.bad is None else percent(one.bad, 1),
        per_offer,
        money(one.earned.mean),
        money_ends(one.earned),
    )


def gaps_table(result: Simulation) -> Table:
    """How far the policy is above the others."""
    rows = []
    for one in result.gaps:
        earned, worth = one.earned, one.worth
        rows.append(
            (
                f"than {named(one)}",
                gained(earned.interval.mean),
                f"{gained(earned.interval.low)} to {gained(earned.interval.high)}",
                chance(earned.p_value),
                gained(worth.interval.mean),
                f"{gained(worth.interval.low)} to {gained(worth.interval.high)}",
            )
        )
    heads = (
        "the policy earns more", "€ a customer", "95 % interval", "p", "true worth of offers",
        "95 % interval",
    )  # fmt: skip
    return Table(heads, tuple(rows), figures=5)


def families_table(result: Simulation) -> Table:
    """What was offered, by family, and how much of it was accepted."""
    arms = [one for one in result.arms if one.offered]
    families = sorted({name for one in arms for name in one.by_family})
    rows = []
    for family in families:
        cells = [family]
        for one in arms:
            made, yes = one.by_family.get(family, (0, 0))
            cells += [percent(made / one.offered), percent(yes / made, 1) if made else NOTHING]
        rows.append(tuple(cells))
    heads = ["family"]
    for one in arms:
        heads += [f"{one.name}: offers", "accepted"]
    return Table(tuple(heads), tuple(rows), figures=2 * len(arms))


def months_table(result: Simulation) -> Table:
    """EUR earned a customer, month by month."""
    rows = tuple((one.name, *(money(value) for value in one.by_month)) for one in result.arms)
    return Table(("policy", *result.months), rows, figures=len(result.months))


def meanings() -> list[tuple[str, str]]:
    """Each arm and what it does."""
    return [(name, meaning) for name, meaning in MEANINGS.items()]
