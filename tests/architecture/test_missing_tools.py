"""A tool that is missing is told loudly, and in CI it is a failure: a green run means tested."""

import pytest


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)]
)
def test_a_missing_tool_skips_loudly_and_fails_in_ci(
    ci: str,
    outcome: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setenv("CI", ci)
    plugin = next(
        plugin
        for plugin in request.config.pluginmanager.get_plugins()
        if hasattr(plugin, "require_tool")
    )
    with pytest.raises(outcome, match="no-such-tool is not on this machine"):
        plugin.require_tool("no-such-tool")
