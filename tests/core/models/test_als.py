"""ALS behind our protocol: exact fold-in, quiet, interruptible, one thread in BLAS."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_info
from worlds import random_world

from oferta.errors import ArtefactInvalid
from oferta.models.als import Als
from oferta.progress import Silent

DATA = random_world(customers=80, products=50, seed=4)


def fit(seed: int = 1, **settings: float):
    return Als(factors=8, **settings).fit(DATA, rng=np.random.default_rng(seed), progress=Silent())


def test_a_stored_vector_is_the_one_folded_in_from_the_same_past():
    model = fit(iterations=4)
    own = model.vectors(DATA.histories)
    folded = model.vectors(replace(DATA.histories, known=np.full(80, -1, np.int32)))
    np.testing.assert_allclose(own, folded, rtol=1e-3, atol=1e-4 * np.abs(own).max())
    assert np.shares_memory(own, model.customers) is False


def test_known_customers_are_looked_up_and_others_are_not():
    model = fit()
    marked = replace(model, customers=np.zeros_like(model.customers))
    assert not marked.score(DATA.histories).any()
    assert marked.score(replace(DATA.histories, known=np.full(80, -1, np.int32))).any()


def test_another_seed_gives_another_model():
    assert not np.array_equal(fit(1).customers, fit(2).customers)


def test_blas_has_its_threads_back_after_a_fit():
    def threads() -> list[int]:
        return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]

    fit()
    before = threads()
    fit()
    assert threads() == before


def test_vectors_of_another_length_are_refused():
    arrays = fit().arrays()
    with pytest.raises(ArtefactInvalid, match="unlike vectors"):
        Als(factors=8).restore({**arrays, "customers": arrays["customers"][:, 1:].copy()})


def test_an_interrupt_ends_a_fit_within_an_iteration():
    program = textwrap.dedent(
        """
        import sys
        import numpy as np
        from worlds import random_world
        from oferta.models.als import Als
        from contextlib import contextmanager

        class Tell:
            @contextmanager
            def task(self, name, *, total):
                def advance(done):
                    print("pass", flush=True)
                yield advance

        data = random_world(customers=300, products=200)
        rng = np.random.default_rng(0)
        Als(factors=64, iterations=1_000_000).fit(data, rng=rng, progress=Tell())
        """
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        assert child.stdout.readline() == "pass\n"
        child.send_signal(signal.SIGINT)
        start = time.monotonic()
        _, errors = child.communicate(timeout=20)
        assert time.monotonic() - start < 10
        assert "KeyboardInterrupt" in errors
