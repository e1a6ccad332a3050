"""The page a developer opens first, in a real browser and without a network."""

import subprocess
from pathlib import Path

import httpx
import pytest


@pytest.mark.needs_tool("chromium")
def test_a_browser_shows_the_routes_without_any_network(
    client: httpx.Client, tmp_path: Path
) -> None:
    """The page's scripts are ours: no name outside this machine resolves for this browser."""
    done = subprocess.run(
        [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
            *("--no-first-run", "--disable-background-networking", "--disable-sync"),
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            *(f"--user-data-dir={tmp_path}", "--virtual-time-budget=8000", "--dump-dom"),
            f"{client.base_url}/docs",
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    for said in ("/v1/customers/{customer_id}/recommendations", "/v1/popular", "/health/ready"):
        # Zero-width spaces let the browser break long paths.
        assert said in done.stdout.replace("\u200b", "").replace("<wbr>", "")
