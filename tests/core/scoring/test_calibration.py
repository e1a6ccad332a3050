"""Maps from scores to chances."""

import numpy as np
import pytest

from oferta.errors import ArtefactInvalid
from oferta.scoring.calibration import CalibrationMap

STEPS = CalibrationMap(np.array([-1.0, 0.0, 2.0]), np.array([0.1, 0.1, 0.9]))
CURVE = CalibrationMap.logistic(2.0, -1.0)


def test_steps_have_lines_between_them_and_are_flat_outside():
    asked = np.array([[-5.0, -0.5, 1.0, 2.0, 9.0]], np.float32)
    np.testing.assert_allclose(STEPS.probability(asked), [[0.1, 0.1, 0.5, 0.9, 0.9]], rtol=1e-6)
    assert STEPS.method == "isotonic"


def test_a_curve_is_the_logistic_function():
    found = CURVE.probability(np.array([0.5, 1.5, -1e9, 1e9], np.float64))
    np.testing.assert_allclose(found, [0.5, 1 / (1 + np.exp(-2)), 0, 1], rtol=1e-6, atol=1e-12)
    assert CURVE.method == "platt"


@pytest.mark.parametrize("made", [STEPS, CURVE, CalibrationMap.logistic(-3.0, 0.0)])
def test_a_higher_score_never_has_a_smaller_chance(made: CalibrationMap):
    chances = made.probability(np.linspace(-50, 50, 999))
    assert (np.diff(chances) >= 0).all()
    assert ((chances >= 0) & (chances <= 1)).all()


@pytest.mark.parametrize("made", [STEPS, CURVE, CalibrationMap.logistic(0.0, 3.0)])
def test_what_may_not_be_listed_has_no_chance(made: CalibrationMap):
    assert made.probability(np.array([-np.inf], np.float32)).tolist() == [0.0]


@pytest.mark.parametrize("made", [STEPS, CURVE])
def test_survives_as_arrays(made: CalibrationMap):
    asked = np.linspace(-3, 3, 50)
    again = CalibrationMap.restore(made.arrays())
    np.testing.assert_array_equal(again.probability(asked), made.probability(asked))


@pytest.mark.parametrize(
    ("score", "value"),
    [
        ([0.0, 1.0], [0.5, 0.4]),  # falls
        ([1.0, 0.0], [0.1, 0.4]),  # out of order
        ([0.0, 1.0], [0.1, 1.5]),  # no chance
        ([0.0, 1.0], [0.1]),
        ([], [-1.0, 0.0]),  # a falling curve
        ([], [1.0]),
        ([], [np.nan, 0.0]),
    ],
)
def test_arrays_that_are_no_map_are_refused(score: list[float], value: list[float]):
    arrays = {"score": np.array(score), "value": np.array(value)}
    with pytest.raises(ArtefactInvalid):
        CalibrationMap.restore(arrays)
    with pytest.raises(ArtefactInvalid, match="missing"):
        CalibrationMap.restore({"score": np.array(score)})
