"""REPORT.md: the same outcome for a repository's reader, who sees text and tables only."""

import re
from collections.abc import Callable

from oferta_experiments.study.report import tables
from oferta_experiments.study.report.words import (
    NOTHING,
    plain,
    shortened,
    signed,
    whole,
)
from oferta_experiments.study.result import Slice, StudyResult

_WIDTH = 40  # characters of a drawn interval: with a name and figures a line stays under 100
_NAME = 28


def markdown(result: StudyResult) -> str:
    """The report as GitHub's Markdown, ending in a line break."""
    facts = ", ".join(f"{whole(count)} {escaped(name)}" for name, count in result.facts.items())
    parts = [
        f"# {escaped(result.question)}",
        f"**{escaped(result.answer)}**",
        (
            f"Study `{_code(result.name)}` on {escaped(result.dataset)}: "
            f"{facts}. "
            "The same with plots: [report.html](report.html)."
        ),
        "## Results",
        *_results(result),
        *_segments(result),
        "## What was not tested",
        *_not_tested(result),
        "## Protocol",
        _sentence(result.sentence),
        _table(
            tables.Table(("choice", "value"), tuple(tables.named_values(result.protocol))),
        ),
        "### Variants",
        _table(tables.all_settings(result)),
        "## How to reproduce",
        *_reproduce(result),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _results(result: StudyResult) -> list[str]:
    lines = tables.main_lines(result)
    if not lines:
        return ["No variant could be judged."]
    heads = ("variant", *(cell.head for cell in lines[0].cells[:2]), "verdict")
    heads += tuple(cell.head for cell in lines[0].cells[2:])
    rows = [
        (
            line.variant.name,
            *(f"{cell.main} ({cell.beside})".removesuffix(" ()") for cell in line.cells[:2]),
            f"{line.sign} {line.verdict}" if line.verdict else "",
            *(cell.main for cell in line.cells[2:]),
        )
        for line in lines
    ]
    shown = [_table(tables.Table(heads, tuple(rows), figures=len(heads) - 1))]
    shown += [_bars(result)]
    if result.differences:
        shown += ["### Every pair that was compared", _table(tables.all_differences(result))]
    return shown


def _bars(result: StudyResult) -> str:
    """Each variant's interval on one scale, as text."""
    figures = {one.name: one.metrics[result.metric] for one in result.variants}
    low = min(figure.low for figure in figures.values())
    high = max(figure.high for figure in figures.values())
    names = shortened(figures, _NAME)
    longest = max(len(name) for name in names.values())

    def place(value: float) -> int:
        return round((_WIDTH - 1) * (value - low) / (high - low)) if high > low else 0

    drawn = []
    for name, figure in figures.items():
        line = [" "] * _WIDTH
        for at in range(place(figure.low), place(figure.high) + 1):
            line[at] = "─"
        line[place(figure.mean)] = "●"
        said = " ".join(names[name].split())
        drawn.append(f"    {said:<{longest}}  {''.join(line)}  {plain(figure.mean)}")
    return (
        f"{escaped(result.metric)} with its 95 % interval, from {plain(low)} to {plain(high)}:\n\n"
    ) + "\n".join(drawn)


def _segments(result: StudyResult) -> list[str]:
    found: dict[tuple[str, str], dict[str, Slice]] = {}
    for variant in result.variants:
        for one in variant.segments:
            found.setdefault((one.by, one.label), {})[variant.name] = one
    if not found:
        return []
    names = [one.name for one in result.variants]
    rows = []
    for (by, label), slices in found.items():
        customers = max(one.customers for one in slices.values())
        cells = [_slice(slices.get(name)) for name in names]
        rows.append((f"{by}: {label}", whole(customers), *cells))
    table = tables.Table(("segment", "customers", *names), tuple(rows), figures=len(names) + 1)
    return [
        "## By segment",
        (
            "The difference from the baseline among the same customers where there is one, else "
            f"the value of {escaped(result.metric)}; **bold** where it is a difference after "
            "correction."
        ),
        _table(table, bold=lambda text: text.endswith(("▲", "▼"))),
    ]


def _slice(one: Slice | None) -> str:
    if one is None:
        return NOTHING
    if one.difference is None:
        return plain(one.figure.mean)
    sign = {"better": " ▲", "worse": " ▼"}.get(one.verdict or "", "")
    return f"{signed(one.difference.mean)}{sign}"


def _not_tested(result: StudyResult) -> list[str]:
    said = "\n".join(f"- {_sentence(sentence)}" for sentence in tables.untested(result))
    return [said or "Nothing was noted."]


def _reproduce(result: StudyResult) -> list[str]:
    return [
        "\n".join(f"    {_code(command)}" for command in commands(result)),
        _table(tables.Table(("what", "value"), tuple(made(result)))),
    ]


def commands(result: StudyResult) -> list[str]:
    """What to type to get the same figures."""
    stated = result.made.get("commands")
    if isinstance(stated, list) and stated:
        return [str(command) for command in stated]
    return [f"oferta study run {result.name}", f"oferta study report {result.name}"]


def made(result: StudyResult) -> list[tuple[str, str]]:
    """Seed, versions and the like, the data's fingerprint first."""
    rest = {name: value for name, value in result.made.items() if name != "commands"}
    first = [("fingerprint of the data", result.fingerprint)]
    last = [("MLflow run", result.run_id)] if result.run_id else []
    return [*first, *tables.named_values(rest), *last]


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, in one line and in a table's cell.

    Underscores inside a word mean nothing in GitHub's Markdown and stay readable.
    """
    text = re.sub(r"([\\`*\[\]<>|~&])", r"\\\1", " ".join(text.split()))
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)


def _sentence(text: str) -> str:
    """The same for the start of a line, which could else begin a list or a heading."""
    return re.sub(r"^(\d*)([#+-]|(?<=\d)[.)])", r"\1\\\2", escaped(text))


def _table(table: tables.Table, *, bold: Callable[[str], bool] | None = None) -> str:
    """The table with its figures aligned to the right; cells that `bold` picks are bold."""
    rules = ["---:" if table.is_figure(at) else "---" for at in range(len(table.heads))]

    def cell(text: str) -> str:
        said = escaped(text)
        return f"**{said}**" if bold is not None and bold(text) else said

    rows = [[escaped(head) for head in table.heads], rules]
    rows += [[cell(text) for text in row] for row in table.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _code(text: str) -> str:
    return " ".join(text.replace("`", "'").split())
