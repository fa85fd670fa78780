"""A short, fixed run of the fuzzers: the same inputs each time. `make fuzz` runs them for long."""

import collections

import pytest
from fuzz_targets import TARGETS, read
from hypothesis import HealthCheck, given, settings

pytestmark = pytest.mark.slow
EXAMPLES = 200
_counts = collections.Counter()


@pytest.fixture(scope="module", autouse=True)
def report():
    yield
    print(f"\nfuzzed: {dict(_counts)}")


@pytest.mark.parametrize("name", TARGETS)
def test_a_damaged_file_is_refused_or_read(name):
    target = TARGETS[name]

    @settings(
        max_examples=max(EXAMPLES // target.cost, 3),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(target.inputs())
    def check(content):
        _counts[read(target, content)] += 1

    check()
