"""The table as Markdown, for a repository."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from oferta_experiments.accuracy.table import Answer, Row
from oferta_experiments.off_policy.synthetic import PUBLISHED, RUNS, Error
from oferta_experiments.study.result import StudyResult

_OFF_POLICY = "../../../docs/off-policy.md"

_HEAD = """# Accuracy

`make accuracy` makes this page: a study per row, each with its own report. Settings are tuned on a
cut of train or the published validation part, never on the test, and the variant that is asked is
named in `table.toml`. Figures are comparable only under the protocol stated beside them; what the
choices mean is in [docs/evaluation.md](../../../docs/evaluation.md).

"""


@dataclass(frozen=True, slots=True)
class Answered:
    """A row with its study's result and what came of its bars."""

    row: Row
    result: StudyResult
    answers: Sequence[Answer]

    @property
    def met(self) -> bool:
        """Whether every bar is reached."""
        return all(answer.met for answer in self.answers)


@dataclass(frozen=True, slots=True)
class OffPolicy:
    """The off-policy estimators' relative errors in the published synthetic setting."""

    errors: Mapping[str, Error]

    @property
    def answers(self) -> tuple[Answer, Answer]:
        """The doubly robust estimate: as near as published, and nearer than the direct method."""
        here, published = self.errors["dr"], PUBLISHED["dr"]
        limit = published.mean + 2 * published.sd
        found = f"{here.mean:.4f} (sd {here.sd:.4f})"
        direct = self.errors["dm"].mean
        return (
            Answer(f"DR <= {limit:.4f} (published + 2 sd)", found, here.mean <= limit),
            Answer("DR below DM", f"DM {direct:.4f}", here.mean < direct),
        )

    @property
    def met(self) -> bool:
        """Whether both are reached."""
        return all(answer.met for answer in self.answers)


def page(done: Sequence[Answered], off_policy: OffPolicy) -> str:
    """The whole page."""
    reached = sum(one.met for one in done) + off_policy.met
    lines = [_HEAD, f"**{reached} of {len(done) + 1} rows reach all of their bars.**\n\n"]
    lines += [
        "| data, protocol | published | bar | found | |\n",
        "| --- | --- | --- | --- | --- |\n",
    ]
    lines += [_row(one) for one in done]
    lines += [_off_policy(off_policy)]
    short = [one for one in done if not one.met]
    if short:
        lines += ["\n## Where a bar is not reached\n\n"]
        lines += [_shortfall(one) for one in short]
    lines += ["\n## The protocols in full\n\n"]
    lines += [_protocol(one) for one in done]
    return "".join(lines)


def _row(one: Answered) -> str:
    cells = [
        f"[{_cell(one.row.data)}]({one.row.study}/REPORT.md)",
        _cell(one.row.published),
        "<br>".join(_cell(answer.asked) for answer in one.answers),
        "<br>".join(_cell(answer.found) for answer in one.answers),
        "reached" if one.met else "**short**",
    ]
    return f"| {' | '.join(cells)} |\n"


def _off_policy(one: OffPolicy) -> str:
    published = ", ".join(f"{name.upper()} {error.mean:.4f}" for name, error in PUBLISHED.items())
    here = ", ".join(f"{name.upper()} {error.mean:.4f}" for name, error in one.errors.items())
    cells = [
        f"[off-policy value, synthetic setting]({_OFF_POLICY}), relative error over {RUNS} runs",
        published,
        "<br>".join(answer.asked for answer in one.answers),
        here,
        "reached" if one.met else "**short**",
    ]
    return f"| {' | '.join(cells)} |\n"


def _shortfall(one: Answered) -> str:
    missed = "; ".join(f"{a.asked}: {a.found}" for a in one.answers if not a.met)
    return f"- **{one.row.study}**: {missed}. {one.row.remark}".rstrip() + "\n"


def _protocol(one: Answered) -> str:
    remark = "" if not one.row.remark or not one.met else f" {one.row.remark}"
    fits = ", ".join(f"{v.name} {v.fit_s:.1f} s" for v in one.result.variants)
    return f"- **{one.row.study}**: {one.result.sentence}. Fits: {fits}.{remark}\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
