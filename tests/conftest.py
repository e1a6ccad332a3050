"""Tests that need a tool of the system: skipped loudly where it is missing, failed in CI."""

import os
import shutil

import pytest


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs_tool"):
        require_tool(mark.args[0])


def require_tool(name: str) -> None:
    """Skip this test, or in CI fail it, where the program `name` is not on PATH."""
    if shutil.which(name):
        return
    said = f"{name} is not on this machine (make system installs it): NOT tested"
    if os.environ.get("CI"):
        pytest.fail(said)
    pytest.skip(said)
