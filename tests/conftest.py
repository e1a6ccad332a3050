"""Tests that need a tool of the system: skipped loudly where it is missing, failed in CI.

And the Redis that a store is tested on.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import structlog
from redis_servers import CLUSTER, RedisCluster, RedisServer, binary


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """A command that ran inside this process, and made logs quiet, leaves them as they were."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


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


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """Three primaries for all tests of this process; `redis_at` empties them."""
    require_tool("redis-server")
    folder = tmp_path_factory.mktemp("cluster")
    with RedisCluster(binary("path"), folder, replicas=False) as running:
        yield running


@pytest.fixture
def redis_at(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """The address of an empty one of `redis_servers.STORES`, which ends with the test."""
    with ExitStack() as running:

        def address(name: str) -> str:
            if name == CLUSTER:
                shared: RedisCluster = request.getfixturevalue("cluster")
                shared.empty()
                return shared.url
            return running.enter_context(RedisServer(binary(name), tmp_path)).url

        yield address
