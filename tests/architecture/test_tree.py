"""House rules that no linter knows. Each says the harm it keeps away."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("src", "training", "serving", "experiments")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

COMPOSITION_ROOTS = ("cli.py", "commands", "app.py", "bench", "demo")
"""Where parts meet: only here may a clock or a random generator be made."""


def tracked() -> Iterator[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    return (ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file())


def calls(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func)


def test_constraints_hold_names_and_versions_only() -> None:
    """An address in a pin breaks everyone behind another index."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert len(pins) > 50
    assert [line for line in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[^\s/@]+", line)] == []


def test_every_dependency_is_pinned() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    wanted = set(re.findall(r'^  "([A-Za-z0-9_.-]+)(?:\[[a-z]+\])?>=', project, flags=re.MULTILINE))
    pins = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    assert {name.lower().replace("_", "-") for name in wanted} - pins == set()


def test_no_tracked_file_names_a_package_index_or_a_machine() -> None:
    """What a stranger would have to edit before anything works."""
    address = re.compile(
        r"(index-url|find-links|--extra-index|https?://[^\s\"]+\.(?:whl|tar\.gz|tgz)"
        r"|(?<![\w/.~-])/(?:root|farm|work)/)"
    )
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked()
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(errors="ignore").splitlines(), 1)
        if address.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_fits_one_idea(path: Path) -> None:
    """A module that grew past understanding is where bugs live; 400 lines is the end."""
    assert len(path.read_text().splitlines()) <= 400


def test_only_the_clock_reads_the_time() -> None:
    """A replayed decision must see the time it was made at, not the time of the replay."""
    reads = ("datetime.now", "datetime.utcnow", "date.today", "time.time", "datetime.today")
    found = [
        f"{path.relative_to(ROOT)}:{line}: {call}"
        for path in MODULES
        if path.name != "clock.py"
        for line, call in calls(ast.parse(path.read_text()))
        if call.endswith(reads)
    ]
    assert found == []


def test_random_generators_are_passed_not_made() -> None:
    """A generator made deep inside cannot be seeded by the run that records its seed."""
    found = [
        f"{path.relative_to(ROOT)}:{line}: {call}"
        for path in MODULES
        if not any(part in COMPOSITION_ROOTS for part in path.parts)
        for line, call in calls(ast.parse(path.read_text()))
        if call in {"np.random.seed", "random.seed", "np.random.rand", "np.random.randn"}
        or (call.endswith("random.default_rng") and _without_seed(path, line))
    ]
    assert found == []


def _without_seed(path: Path, line: int) -> bool:
    return "default_rng()" in path.read_text().splitlines()[line - 1]


def test_nobody_unpickles() -> None:
    """Loading a pickle runs whatever is in it."""
    forbidden = re.compile(r"\b(pickle|cloudpickle|joblib|dill)\.(load|loads)\b|allow_pickle=True")
    found = [str(path.relative_to(ROOT)) for path in MODULES if forbidden.search(path.read_text())]
    assert found == []
