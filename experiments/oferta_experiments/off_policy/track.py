"""An off-policy evaluation as a run in MLflow: figures, settings and a picture."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from oferta.evaluation.off_policy.evaluate import PolicyValue
from oferta_training import tracking

EXPERIMENT = "oferta/off-policy"


def track(value: PolicyValue, *, name: str, settings: Mapping[str, str], home: Path) -> str:
    """Log `value` as a run called `name`; gives the id of the run."""
    tracker = tracking.client(home)
    experiment = tracking.experiment(home, EXPERIMENT)
    support = value.support
    with tracking.run(home, experiment_id=experiment, name=name, tags={}) as run_id:
        tracking.log_params(tracker, run_id, {**settings, "reward_model": value.reward_model})
        means = {estimator: estimate.mean for estimator, estimate in value.estimates.items()}
        facts = {
            "logged": value.logged.mean,
            "ess": support.ess,
            "ess_share": support.ess_share,
            "mean_weight": support.mean_weight,
            "max_weight": support.max_weight,
        }
        tracking.log_metrics(tracker, run_id, {**means, **facts})
        tracking.log_json(tracker, run_id, "off_policy.json", value.as_json())
        with tempfile.TemporaryDirectory() as folder:
            picture = Path(folder) / "off_policy.png"
            draw(value, picture)
            tracker.log_artifact(run_id, str(picture))
    return run_id


def draw(value: PolicyValue, path: Path) -> None:
    """Each estimate with its interval, over the logged policy's; written as PNG."""
    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    axes = figure.subplots()
    logged = value.logged
    axes.axvspan(logged.low, logged.high, color="#e2e8f0", label="logged policy")
    axes.axvline(logged.mean, color="#94a3b8")
    ordered = list(value.estimates.items())[::-1]
    for row, (name, estimate) in enumerate(ordered):
        colour = "#0f766e" if name == "dr" else "#475569"
        axes.plot([estimate.low, estimate.high], [row, row], color=colour, linewidth=3)
        axes.plot([estimate.mean], [row], "o", color=colour, markersize=7)
    axes.set_yticks(range(len(ordered)), [name.upper() for name, _ in ordered])
    axes.set_xlabel("reward per row, with its 95 % interval")
    axes.legend(loc="best", frameon=False)
    axes.margins(x=0.08, y=0.2)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
