"""The unit files say what the command line understands, and systemd takes them."""

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import typer

from oferta.cli import app, load_commands

UNITS = Path(__file__).parents[2] / "serving" / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
TIMERS = sorted(UNITS.glob("*.timer"))
PROGRAM = "/opt/oferta/venv/bin/oferta"
PAGE = (UNITS.parents[1] / "docs" / "nightly.md").read_text(encoding="utf-8")

SANDBOX = (
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    "SystemCallFilter=@system-service",
    "User=oferta",
)


OF_TENANTS = ("consume", "nightly", "heal", "erase")
"""Serving is one process for all tenants; these are one for each."""

TENANTS_OWN = {
    "consume": (
        "# OFERTA_METRICS_PORT: a port of this tenant's own.",
        "EnvironmentFile=/etc/oferta/%i/consume.env",
    )
}


def started(unit: Path) -> list[str]:
    (line,) = re.findall(r"^ExecStart=(.+)$", unit.read_text(), re.MULTILINE)
    line = line.replace("${OFERTA_METRICS_PORT}", "9102")
    return shlex.split(line)


@pytest.mark.parametrize("name", OF_TENANTS)
def test_a_tenants_unit_is_the_plain_one_with_the_tenants_name_and_files(name: str):
    plain = (UNITS / f"oferta-{name}.service").read_text().splitlines()
    own = (UNITS / f"oferta-{name}@.service").read_text().splitlines()
    assert own.count("Environment=OFERTA_TENANT=%i") == 1
    more = ("Environment=OFERTA_TENANT=%i", *TENANTS_OWN.get(name, ()))
    assert [
        line.replace(" (tenant %i)", "")
        .replace("/%i/", "/")
        .replace("${OFERTA_METRICS_PORT}", "9101")
        for line in own
        if line not in more
    ] == plain
    assert any("(tenant %i)" in line for line in own)


def test_there_are_the_services_and_timers_of_one_seller_and_of_tenants():
    names = {path.name for path in (*SERVICES, *TIMERS)}
    assert names == {
        *("oferta-serve.service", "oferta-consume.service", "oferta-nightly.service"),
        *("oferta-heal.service", "oferta-nightly.timer", "oferta-heal.timer"),
        *("oferta-erase.service", "oferta-erase.timer"),
        *(f"oferta-{name}@.service" for name in OF_TENANTS),
        *(f"oferta-{name}@.timer" for name in OF_TENANTS if name != "consume"),
    }
    assert [name for name in sorted(names) if f"`{name}`" not in PAGE] == []


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.stem)
def test_what_is_started_is_a_command_with_options_that_it_has(unit: Path):
    program, name, *words = started(unit)
    assert program == PROGRAM
    load_commands()
    group = typer.main.get_command(app)
    command = group.commands[name]
    known = {option for one in command.params for option in one.opts if option.startswith("--")}
    assert {word for word in words if word.startswith("--")} <= known
    made = command.make_context(name, _with_files(words), resilient_parsing=False)
    assert made.args == []


def _with_files(words: Sequence[str]) -> list[str]:
    """The files that an administrator brings need not be here."""
    return [word if not word.startswith("/etc/") else __file__ for word in words]


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.stem)
def test_a_service_may_do_little_and_is_told_where_everything_is(unit: Path):
    lines = unit.read_text().splitlines()
    assert [line for line in SANDBOX if line not in lines] == []
    assert "EnvironmentFile=/etc/oferta/oferta.env" in lines


def test_a_timer_starts_the_service_of_its_name():
    for timer in TIMERS:
        assert timer.with_suffix(".service") in SERVICES


@pytest.mark.needs_tool("systemd-analyze")
def test_systemd_takes_them(tmp_path: Path):
    own = Path(sys.executable).with_name("oferta")
    for unit in (*SERVICES, *TIMERS):
        (tmp_path / unit.name).write_text(unit.read_text().replace(PROGRAM, str(own)))
    names = [str(tmp_path / unit.name) for unit in (*SERVICES, *TIMERS)]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *names],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "oferta" not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr


@pytest.mark.needs_tool("systemd-analyze")
@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.stem)
def test_systemd_finds_little_that_a_broken_in_process_could_do(unit: Path, tmp_path: Path):
    copied = tmp_path / unit.name
    copied.write_text(unit.read_text())
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(copied)],
        capture_output=True,
        text=True,
        check=False,
    )
    if "Unknown" in done.stderr or "unrecognized" in done.stderr:
        pytest.skip("this systemd-analyze is too old: NOT tested")
    (level,) = re.findall(r"exposure level.*?: ([0-9.]+)", done.stdout)
    assert float(level) < 3, done.stdout  # 9.6 is a service that says nothing
