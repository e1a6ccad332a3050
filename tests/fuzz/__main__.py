"""`make fuzz`: each target for a while, guided by coverage. Needs the `fuzz` extra (CPython 3.11).

`python -m fuzz [TARGET ...] [--seconds 60]` with tests/ on the path. A finding is written to
crash-* in the working folder and fails the run.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from fuzz.targets import TARGETS
from rich.console import Console

_ONE = """
import sys
import atheris
with atheris.instrument_imports(include=["oferta", "oferta_serving"]):
    from fuzz.targets import TARGETS, attempt
target = TARGETS[sys.argv.pop(1)]
atheris.Setup(sys.argv, lambda data: attempt(target, data))
atheris.Fuzz()
"""


say = Console(highlight=False, markup=False).print


def main() -> int:
    """Fuzz the targets asked for, all by default; 1 where there was a finding."""
    asked = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    asked.add_argument("targets", nargs="*")
    asked.add_argument("--seconds", type=int, default=60)
    given = asked.parse_args()
    try:
        import atheris  # noqa: F401, PLC0415 - only to tell that it is missing
    except ImportError:
        say("SKIPPED: the fuzzer is not installed (pip install -e '.[fuzz]', CPython 3.11)")
        return 0
    found = []
    for name in given.targets or TARGETS:
        corpus = Path(".fuzz") / name
        corpus.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(TARGETS[name].seeds):
            (corpus / f"seed-{number}").write_bytes(seed)
        run = subprocess.run(
            [
                *(sys.executable, "-W", "ignore", "-c", _ONE, name, str(corpus)),
                *(f"-max_total_time={given.seconds}", "-max_len=4096", "-print_final_stats=1"),
                *("-rss_limit_mb=2048", "-verbosity=0"),
            ],
            check=False,
            capture_output=True,
            text=True,
        )
        tried = [line for line in run.stderr.splitlines() if "number_of_executed_units" in line]
        count = tried[0].split()[-1] if tried else "?"
        say(f"{name:16} {count:>10} tries  {'ok' if run.returncode == 0 else 'FOUND'}")
        if run.returncode != 0:
            found.append(name)
            say("\n".join(run.stderr.splitlines()[-40:]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
