"""How much memory a fit may take."""

from pathlib import Path

from oferta.errors import ModelTooLarge

_GIB = 2**30
_SHARE = 0.8  # the rest is for what the estimate does not see


def available_bytes() -> int:
    """Memory that this process can still have: the machine's, or its control group's if less."""
    free = _meminfo_bytes()
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        (
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        ),
    ):
        ceiling, taken = _number(limit), _number(used)
        if ceiling is not None and taken is not None:
            free = min(free, max(ceiling - taken, 0))
    return free


def require_memory(model: str, needs_bytes: int, *, remedy: str) -> None:
    """Let a fit begin only where it can end.

    Raises:
        ModelTooLarge: more is needed than four fifths of what is free.
    """
    has = int(available_bytes() * _SHARE)
    if needs_bytes > has:
        raise ModelTooLarge(model, needs_bytes, has, remedy=remedy)


def _meminfo_bytes() -> int:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 8 * _GIB  # no Linux: a usual machine's


def _number(path: str) -> int | None:
    try:
        text = Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
