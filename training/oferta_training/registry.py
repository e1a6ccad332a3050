"""Registered model versions: one MLflow model per job, the alias `champion` on the live one."""

import contextlib
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import mlflow
import orjson
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

from oferta.errors import RegistryError
from oferta.settings import parse
from oferta_training import tracking
from oferta_training.job import Job

CHAMPION = "champion"
CHALLENGER = "challenger"

_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""What MLflow says of a model, or of an alias, that is not there."""

_LONGEST_TAG = 5000
"""Characters that MLflow takes as a tag of a version."""

_PROPENSITY = "propensity"

_PYFUNC = Path(__file__).with_name("pyfunc_model.py")


@dataclass(frozen=True, slots=True)
class Version:
    """One registered version of a model.

    Attributes:
        name, number: as MLflow has them; `label` joins them.
        run_id: the training run that made it.
        model: which model of the catalogue won the comparison.
        settings: its settings, as JSON text.
        dataset, fingerprint: path and content hash of the data it was trained on.
        folder: URI of the model's artifacts.
    """

    name: str
    number: int
    run_id: str
    model: str
    settings: str
    dataset: str
    fingerprint: str
    folder: str

    @property
    def label(self) -> str:
        """`name/number`: how answers and releases name it."""
        return f"{self.name}/{self.number}"


@dataclass(frozen=True, slots=True)
class Standing:
    """A version with what the registry says of it beside.

    Attributes:
        aliases: `champion`, `challenger`, and any that somebody else has set.
        gate: why the gate let it through, or did not.
    """

    version: Version
    aliases: tuple[str, ...]
    gate: str


def register(
    home: Path,
    *,
    run_id: str,
    name: str,
    artefact: Path,
    facts: Mapping[str, str],
    propensity: Path | None = None,
) -> Version:
    """Store the artefact folder with the run and register it as a new version of `name`.

    `propensity` is the folder of what states its chances, if something does.

    It is logged as models-from-code: `mlflow.pyfunc.load_model` runs our own small module over the
    artefact's arrays, and no pickle is written or read.
    """
    tracker = tracking.client(home)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice on type hints of a signature that is stated below
        with mlflow.start_run(run_id=run_id):
            info = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(_PYFUNC),
                artifacts={"artefact": str(artefact)}
                | ({} if propensity is None else {_PROPENSITY: str(propensity)}),
                signature=_signature(),
                pip_requirements=["oferta"],
                tags=dict(facts),
            )
    with contextlib.suppress(MlflowException):  # it is there already
        tracker.create_registered_model(name)
    return _version(
        tracker.create_model_version(
            name, source=info.model_uri, run_id=run_id, tags=dict(facts), model_id=info.model_id
        )
    )


def _signature() -> ModelSignature:
    text, number = DataType.string, DataType.double
    return ModelSignature(
        inputs=Schema([ColSpec(text, "customer_id")]),
        outputs=Schema(
            [
                ColSpec(text, "customer_id"),
                ColSpec(text, "product_id"),
                ColSpec(number, "score"),
                ColSpec(DataType.long, "rank"),
            ]
        ),
        params=ParamSchema([ParamSpec("n", DataType.long, 10)]),
    )


def champion(home: Path, name: str) -> Version | None:
    """The version that publishing follows, or None while there is none.

    Raises:
        RegistryError: the registry did not answer. That is not the same as having no champion.
    """
    try:
        found = tracking.client(home).get_model_version_by_alias(name, CHAMPION)
    except MlflowException as error:
        if error.error_code in _ABSENT:
            return None
        raise RegistryError(f"the model registry did not answer: {error}") from None
    return _version(found)


def model_name(home: Path, name: str | None) -> str:
    """The registered model `name`; None: the only one there is.

    Raises:
        RegistryError: there is none such, or more than one; says what there is.
    """
    names = sorted(str(one.name) for one in tracking.client(home).search_registered_models())
    if name is None:
        if len(names) != 1:
            raise RegistryError(_which_one(names))
        return names[0]
    if name not in names:
        raise RegistryError(f"no registered model '{name}'. {_which_one(names)}")
    return name


def find(home: Path, which: str | None) -> Version:
    """A version by `name`, `name@alias` or `name/number`; None: the only model's champion.

    Raises:
        RegistryError: there is none such; says what there is.
    """
    tracker = tracking.client(home)
    which = which or model_name(home, None)
    name, alias, number = _parse(which)
    model_name(home, name)
    try:
        if number is not None:
            return _version(tracker.get_model_version(name, number))
        return _version(tracker.get_model_version_by_alias(name, alias or CHAMPION))
    except MlflowException:
        raise RegistryError(
            f"'{which}' is not in the registry. `oferta train` registers a new version; the first "
            f"one that passes its gate becomes {CHAMPION}."
        ) from None


def set_alias(home: Path, version: Version, alias: str, *, tags: Mapping[str, str]) -> None:
    """Keep `tags` with the version, then give it the alias: killed between, nothing has moved."""
    tracker = tracking.client(home)
    for key, value in tags.items():
        tracker.set_model_version_tag(version.name, str(version.number), key, value[:_LONGEST_TAG])
    tracker.set_registered_model_alias(version.name, alias, str(version.number))


def standings(home: Path, name: str) -> list[Standing]:
    """All versions of the model `name`, the newest first."""
    tracker = tracking.client(home)
    aliases: dict[int, list[str]] = {}
    for alias, number in tracker.get_registered_model(name).aliases.items():
        aliases.setdefault(int(number), []).append(alias)
    found = tracker.search_model_versions(f"name = '{name}'", max_results=1000)
    return sorted(
        (
            Standing(
                version=_version(one),
                aliases=tuple(sorted(aliases.get(int(one.version), ()))),
                gate=(one.tags or {}).get("oferta.gate", ""),
            )
            for one in found
        ),
        key=lambda standing: -standing.version.number,
    )


def job_of(home: Path, version: Version) -> Job:
    """The resolved job that trained the version: its policy holds for its scores.

    Raises:
        RegistryError: the run's record of it is gone.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = tracking.client(home).download_artifacts(version.run_id, "job.json", folder)
        except MlflowException:
            raise RegistryError(
                f"the job of {version.label} is not in its run any more; train again"
            ) from None
        return parse(orjson.loads(Path(path).read_bytes()), Job, place=path)


def download(home: Path, version: Version, into: Path) -> Path:
    """The version's artefact folder, copied under `into`; checked by whoever loads it."""
    tracking.client(home)
    folder = Path(download_artifacts(version.folder, dst_path=str(into)))
    artefact = folder / "artifacts"
    folders = [path for path in artefact.iterdir() if path.is_dir() and path.name != _PROPENSITY]
    if not folders:
        raise RegistryError(f"{version.label} has no artefact; train again")
    return folders[0]


def propensity_beside(artefact: Path) -> Path | None:
    """The folder of what states the chances of a downloaded artefact; None where nothing does."""
    folder = artefact.with_name(_PROPENSITY)
    return folder if folder.is_dir() else None


def _parse(which: str) -> tuple[str, str | None, str | None]:
    if "@" in which:
        name, _, alias = which.partition("@")
        return name, alias, None
    name, _, number = which.partition("/")
    return name, None, number or None


def _which_one(names: list[str]) -> str:
    if not names:
        return "Nothing is registered yet: run `oferta train DATASET` first."
    return f"Registered: {', '.join(names)}. Name one with --model NAME."


def _version(found: ModelVersion) -> Version:
    tags = found.tags or {}
    return Version(
        name=str(found.name),
        number=int(found.version),
        run_id=str(found.run_id),
        model=tags.get("oferta.model", ""),
        settings=tags.get("oferta.settings", "{}"),
        dataset=tags.get("oferta.dataset", ""),
        fingerprint=tags.get("oferta.fingerprint", ""),
        folder=str(found.source),
    )
