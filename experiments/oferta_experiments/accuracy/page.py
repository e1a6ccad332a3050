"""The table as Markdown, for a repository."""

from collections.abc import Sequence
from dataclasses import dataclass

from oferta_experiments.accuracy.table import Answer, Row
from oferta_experiments.study.result import StudyResult

_HEAD = """# Accuracy

`make accuracy` makes this page: a study per row, each with its own report. Settings are tuned on a
cut of train or the published validation part, never on the test. Figures are comparable only under
the protocol stated beside them; what the choices mean is in
[docs/evaluation.md](../../../docs/evaluation.md).

"""


@dataclass(frozen=True, slots=True)
class Done:
    """A row with its study's result and what came of its bars."""

    row: Row
    result: StudyResult
    answers: Sequence[Answer]

    @property
    def met(self) -> bool:
        """Whether every bar is reached."""
        return all(answer.met for answer in self.answers)


def page(done: Sequence[Done]) -> str:
    """The whole page."""
    reached = sum(one.met for one in done)
    lines = [_HEAD, f"**{reached} of {len(done)} rows reach all of their bars.**\n\n"]
    lines += [
        "| data, protocol | published | bar | found | |\n",
        "| --- | --- | --- | --- | --- |\n",
    ]
    lines += [_row(one) for one in done]
    short = [one for one in done if not one.met]
    if short:
        lines += ["\n## Where a bar is not reached\n\n"]
        lines += [_shortfall(one) for one in short]
    lines += ["\n## The protocols in full\n\n"]
    lines += [_protocol(one) for one in done]
    return "".join(lines)


def _row(one: Done) -> str:
    cells = [
        f"[{_cell(one.row.data)}]({one.row.study}/REPORT.md)",
        _cell(one.row.published),
        "<br>".join(_cell(answer.asked) for answer in one.answers),
        "<br>".join(_cell(answer.found) for answer in one.answers),
        "reached" if one.met else "**short**",
    ]
    return f"| {' | '.join(cells)} |\n"


def _shortfall(one: Done) -> str:
    missed = "; ".join(f"{a.asked}: {a.found}" for a in one.answers if not a.met)
    return f"- **{one.row.study}**: {missed}. {one.row.remark}".rstrip() + "\n"


def _protocol(one: Done) -> str:
    remark = "" if not one.row.remark or not one.met else f" {one.row.remark}"
    fits = ", ".join(f"{v.name} {v.fit_s:.1f} s" for v in one.result.variants)
    return f"- **{one.row.study}**: {one.result.sentence}. Fits: {fits}.{remark}\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
