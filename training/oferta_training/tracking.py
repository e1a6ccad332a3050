"""Runs in MLflow: where they go, and how they are made quiet.

Without a tracking address MLflow gets a SQLite file and a folder under the state folder; with
`MLFLOW_TRACKING_URI` set, that server is used.
"""

import http.client
import logging
import os
import re
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from oferta.errors import RegistryError

# Set before MLflow is imported: it reports usage and draws its own bars unless told not to.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
# Its own are 120 s and 7 attempts with growing pauses: minutes for every call to a dead server.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")

for _name in ("alembic", "mlflow", "mlflow.store.db.utils", "mlflow.tracking"):
    logging.getLogger(_name).setLevel(logging.ERROR)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations inside MLflow are not ours to act on
    import mlflow
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param
    from mlflow.exceptions import MlflowException

_SERVER = os.environ.get("MLFLOW_TRACKING_URI")
"""A tracking server of the user's. Read once: MLflow sets the variable itself later on."""


_PROBE_S = 5.0

_FORBIDDEN = re.compile(r"[^\w.\- ]")
"""Everything but what MLflow takes in any name of a parameter or a metric: a slash makes it a path,
and not every path is one."""

_LONGEST_NAME = 250


def tracking_uri(home: Path) -> str:
    """Where runs and registered models are kept."""
    database = (home / "mlflow.db").resolve()
    return _SERVER or f"sqlite:///{database}"


@cache
def _check_server() -> None:
    """Ask once whether the server is there, before anything is made that it is to keep."""
    if _SERVER is None or not _SERVER.startswith(("http://", "https://")):
        return
    place = urllib.parse.urlsplit(_SERVER)
    host = place.netloc.rpartition("@")[2]  # without a name and a password
    health = f"{place.scheme}://{host}{place.path.rstrip('/')}/health"
    try:
        with urllib.request.urlopen(health, timeout=_PROBE_S):  # noqa: S310 - http or https
            return
    except urllib.error.HTTPError:
        return  # whatever it says, it answers
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _away(str(error) or type(error).__name__) from None


@contextmanager
def answered() -> Iterator[None]:
    """Whatever MLflow cannot do in this block is one line, and no bug of ours.

    Raises:
        RegistryError: the tracking store did not do what it was asked.
    """
    try:
        yield
    except MlflowException as error:
        raise _away(str(error).splitlines()[0] if str(error) else type(error).__name__) from error


def _away(problem: str) -> RegistryError:
    # Never the address itself: it may carry a password.
    where = "the state folder's MLflow store" if _SERVER is None else "MLFLOW_TRACKING_URI"
    return RegistryError(
        f"MLflow ({where}) did not answer: {problem[:300]}. What is live has not changed, and "
        "neither has the champion. `oferta publish --if-missing` works without it"
    )


def client(home: Path) -> MlflowClient:
    """A client of the project's tracking store; the store is made on first use.

    Raises:
        RegistryError: the tracking server does not answer.
    """
    _check_server()
    home.mkdir(parents=True, exist_ok=True)
    uri = tracking_uri(home)
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    if _SERVER is None:
        # MLflow writes the address into the environment, where a child process with another state
        # folder would take it for a server of the user's.
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def experiment(home: Path, name: str) -> str:
    """The id of the experiment called `name`, made if there is none."""
    tracker = client(home)
    found = tracker.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    if _SERVER:
        return str(tracker.create_experiment(name))
    folder = (home / "mlflow-artifacts").resolve()
    return str(tracker.create_experiment(name, artifact_location=folder.as_uri()))


@contextmanager
def run(
    home: Path,
    *,
    experiment_id: str,
    name: str,
    tags: Mapping[str, str],
    parent: str | None = None,
    again: str | None = None,
) -> Iterator[str]:
    """A run, by its id. Ends as FINISHED, FAILED or, by Ctrl-C, KILLED.

    `again` is the id of a run to go on with instead of a new one.
    """
    tracker = client(home)
    if again is None:
        nesting = {"mlflow.parentRunId": parent} if parent else {}
        made = tracker.create_run(experiment_id, run_name=name, tags={**tags, **nesting})
        run_id = str(made.info.run_id)
    else:
        run_id = again
        tracker.update_run(run_id, status="RUNNING")
    try:
        yield run_id
    except KeyboardInterrupt:
        tracker.set_terminated(run_id, "KILLED")
        raise
    except BaseException:
        tracker.set_terminated(run_id, "FAILED")
        raise
    tracker.set_terminated(run_id, "FINISHED")


def log_params(tracker: MlflowClient, run_id: str, params: Mapping[str, Any]) -> None:
    """Nested settings as flat parameters: `interactions.half_life_days`.

    Signs that MLflow does not allow in a name become `_`; `job.json` has them as they are.
    """
    flat = {_plain(name): str(value) for name, value in _flat(params)}
    tracker.log_batch(run_id, params=[Param(name, value) for name, value in flat.items()])


def log_metrics(tracker: MlflowClient, run_id: str, metrics: Mapping[str, float]) -> None:
    """Metrics by name; `ndcg@10` becomes `ndcg_at_10`, as MLflow allows no at-sign.

    So do other signs become `_`, as in `exposure_category_loan_at_10`; `evaluation.json` has the
    names as they are.
    """
    now_ms = tracker.get_run(run_id).info.start_time
    plain = {_plain(name.replace("@", "_at_")): value for name, value in metrics.items()}
    tracker.log_batch(
        run_id, metrics=[Metric(name, value, now_ms, 0) for name, value in plain.items()]
    )


def log_json(tracker: MlflowClient, run_id: str, name: str, content: object) -> None:
    """`content` as an artifact file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2, default=str))
        tracker.log_artifact(run_id, str(path))


def _plain(name: str) -> str:
    return _FORBIDDEN.sub("_", name)[:_LONGEST_NAME]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
