"""What goes wrong where models are made, kept and promoted."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from oferta.errors.root import OfertaError


class ExtraMissing(OfertaError):
    """An optional package is not installed; says how to get it."""

    code = "extra.missing"

    def __init__(self, what: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{what} needs the extra '{extra}': pip install 'oferta[{extra}]'")


class NothingFitted(OfertaError):
    """Every model of a job was skipped; says why each."""

    code = "train.nothing_fitted"

    def __init__(self, why: Iterable[tuple[str, str]]) -> None:
        self.why = tuple(why)
        said = "; ".join(f"{model} {reason}" for model, reason in self.why)
        super().__init__(f"no model of the job could be fitted: {said}")


class FitFailed(OfertaError):
    """A fit that gave no model on this data, with these settings; others may still do."""

    code = "model.fit_failed"

    def __init__(self, model: str, why: str) -> None:
        self.model = model
        super().__init__(f"{model} {why}")


class ModelTooLarge(FitFailed):
    """A fit that would not fit into memory; says what to use instead."""

    code = "model.too_large"

    def __init__(self, model: str, needs_bytes: int, has_bytes: int, *, remedy: str) -> None:
        self.needs_bytes = needs_bytes
        self.has_bytes = has_bytes
        super().__init__(
            model,
            f"would need {needs_bytes / 2**30:.1f} GiB and {has_bytes / 2**30:.1f} GiB are free. "
            f"{remedy}",
        )


class ArtefactInvalid(OfertaError):
    """A stored model is incomplete, altered or not ours; nothing of it was used."""

    code = "artefact.invalid"

    def __init__(self, place: Path | str, problem: str) -> None:
        self.place = str(place)
        super().__init__(f"{place}: {problem}. Train again, or restore the folder from a backup.")


class RegistryError(OfertaError):
    """The model registry does not hold what was asked for."""

    code = "registry"


class RefusersLearnedFrom(OfertaError):
    """Customers who refused training are in what models learn from, or are judged on."""

    code = "train.consent"

    def __init__(self, customers: int) -> None:
        self.customers = customers
        super().__init__(
            f"{customers} customer(s) who refused training are in the data of this run. Nothing "
            "was registered; this is a fault of oferta, please report it."
        )


class PromotionRefused(OfertaError):
    """A model that may not become champion; names the guards that failed."""

    code = "promotion.refused"

    def __init__(self, what: str, failing: Sequence[str], because: str) -> None:
        self.failing = tuple(failing)
        super().__init__(f"{what} is not promoted: {because}. The champion is untouched.")
