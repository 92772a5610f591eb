from __future__ import annotations

import pytest
from scipy import stats

from usbench.statistics.student_t import critical, two_sided_p


@pytest.mark.parametrize("freedom", [1, 2, 3.7, 12, 17.3, 60, 1000, 1e6])
@pytest.mark.parametrize("t", [0.0, 1e-9, 0.3, 1.0, 2.1, -5.0, 12.0, 40.0])
def test_tails_are_those_of_scipy(t, freedom) -> None:
    assert two_sided_p(t, freedom) == pytest.approx(2 * stats.t.sf(abs(t), freedom), rel=1e-7, abs=1e-300)


@pytest.mark.parametrize("freedom", [1, 2.5, 12, 300])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
def test_critical_values_are_those_of_scipy_and_agree_with_the_tails(level, freedom) -> None:
    value = critical(level, freedom)
    assert value == pytest.approx(stats.t.ppf((1 + level) / 2, freedom), rel=1e-9)
    assert two_sided_p(value, freedom) <= 1 - level
    assert two_sided_p(value * (1 - 1e-9), freedom) > 1 - level


def test_infinite_freedom_is_the_normal_distribution() -> None:
    assert critical(0.95) == pytest.approx(stats.norm.ppf(0.975))
    assert two_sided_p(1.5) == pytest.approx(2 * stats.norm.sf(1.5))
    assert two_sided_p(1.5, 1e9) == pytest.approx(two_sided_p(1.5), rel=1e-6)
