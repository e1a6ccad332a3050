"""A file is the old one or the new one, and a lock is had by one process at a time."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from oferta.durable import lock_if_free, locked, replaced


def test_a_file_is_replaced_at_the_end_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(b"old")
    with replaced(path, mode=0o600) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), replaced(path) as file:
        file.writelines([b"half", 1])  # type: ignore[list-item] # what fails half-way
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


HOLDER = """
import sys, time
from pathlib import Path
from oferta.durable import locked
with locked(Path(sys.argv[1])):
    print("has it", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_free_again_when_its_block_or_its_process_ends(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path), lock_if_free(path) as second:
        assert second is None
    with lock_if_free(path) as first:
        assert first is not None
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        with lock_if_free(path) as mine:
            assert mine is None
    finally:
        holder.kill()
        holder.communicate()
    with locked(path):
        pass
