"""What figures were made with: the code's content and the libraries that models stand on."""

import platform
from functools import cache
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import orjson

import oferta
from oferta.settings import Settings
from oferta_training.code import code_version

_LIBRARIES = (
    "numpy",
    "scipy",
    "polars",
    "implicit",
    "optuna",
    "scikit-learn",
    "irspack",
    "lightgbm",
    "lightfm",
)


class Made(Settings):
    """What a figure was made with.

    Attributes:
        code: the version, with the commit where it is a checkout: for people.
        source: digest of the core's source files: what tells one code from another.
        python, libraries: versions; a library that is not installed is not named.
    """

    code: str
    source: str
    python: str
    libraries: dict[str, str]

    @property
    def mark(self) -> str:
        """Short, and another one where figures may be others."""
        told = self.model_dump(mode="json", exclude={"code"})
        return blake2b(orjson.dumps(told, option=orjson.OPT_SORT_KEYS), digest_size=4).hexdigest()

    def unlike(self, other: "Made") -> str:
        """In what this differs from `other`, as `oferta 0.1.0 instead of 0.2.0`; empty: nothing."""
        said = []
        if self.source != other.source:
            same = self.code == other.code
            now = f"{other.code} with other source" if same else other.code
            said.append(f"oferta {self.code} instead of {now}")
        if self.python != other.python:
            said.append(f"Python {self.python} instead of {other.python}")
        for name in sorted(self.libraries.keys() | other.libraries.keys()):
            had, has = (one.libraries.get(name, "none") for one in (self, other))
            if had != has:
                said.append(f"{name} {had} instead of {has}")
        return ", ".join(said)


@cache
def made_now() -> Made:
    """What this process makes figures with."""
    libraries = {}
    for name in _LIBRARIES:
        try:
            libraries[name] = version(name)
        except PackageNotFoundError:
            continue
    return Made(
        code=code_version(),
        source=_source(Path(oferta.__file__).parent),
        python=platform.python_version(),
        libraries=libraries,
    )


def _source(folder: Path) -> str:
    digest = blake2b(digest_size=8)
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
