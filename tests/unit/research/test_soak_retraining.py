"""The soak of candidates sums up what its markets have shown, and says when too many are lucky."""

from tests.soak.retraining import EDGES, NOTHING_SEEDS, PASSED_MAX, Case, summary


def a_case(*, edge: float = 0.0, days: int = 75, passed: bool = False, free: bool = False) -> Case:
    return Case(
        seed=1,
        edge=edge,
        days=days,
        window_days=20.0,
        auc=0.6,
        entries=40,
        passed=passed,
        passed_free=free,
        failed=(),
    )


def nothing(lucky: int, lucky_free: int) -> list[Case]:
    return [
        a_case(passed=number < lucky, free=number < lucky_free) for number in range(NOTHING_SEEDS)
    ]


def test_as_many_as_chance_allows_may_pass_where_nothing_is_to_be_found() -> None:
    assert summary(nothing(0, PASSED_MAX))["ok"]
    assert not summary(nothing(0, PASSED_MAX + 1))["ok"]
    assert not summary(nothing(PASSED_MAX + 1, 0))["ok"]
    assert not summary(nothing(0, 0)[1:])["ok"], "all markets have to be there"


def test_what_was_found_is_told_by_edge_and_day() -> None:
    found = [a_case(edge=EDGES[0], days=20, passed=number < 2) for number in range(3)]

    told = summary([*nothing(0, 0), *found])["found"]

    assert isinstance(told, list)
    assert [each for each in told if each] == [
        {
            "edge": EDGES[0],
            "days": 20,
            "markets": 3,
            "passed": 2,
            "auc": 0.6,
            "entries": 40.0,
            "window_days": 20.0,
        }
    ]
