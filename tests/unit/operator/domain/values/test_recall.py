"""A result is used again only for the very same observed object and equal values beside it."""

from __future__ import annotations

from medley_operator.domain.values.recall import Recall


class Counted:
    """Makes a number, another one each time."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> int:
        self.made += 1
        return self.made


def test_the_same_object_and_equal_values_give_the_same_result() -> None:
    recall, make, observed = Recall[int](), Counted(), {"replicas": 1}
    assert recall.get("a", make, observed=observed, equal=("x", [1])) == 1
    assert recall.get("a", make, observed=observed, equal=("x", [1])) == 1
    assert make.made == 1


def test_an_equal_object_is_another_one() -> None:
    recall, make = Recall[int](), Counted()
    assert recall.get("a", make, observed={"paused": True}) == 1
    assert recall.get("a", make, observed={"paused": True}) == 2


def test_another_value_or_another_key_gives_another_result() -> None:
    recall, make, observed = Recall[int](), Counted(), {"replicas": 1}
    results = [
        recall.get(key, make, observed=observed, equal=equal)
        for key, equal in (("a", "x"), ("a", "y"), ("b", "y"), ("a", "y"))
    ]
    assert results == [1, 2, 3, 2]


def test_no_more_results_are_kept_than_the_most() -> None:
    recall, make = Recall[int](most=2), Counted()
    for key in ("a", "b", "c"):
        recall.get(key, make)
    assert recall.get("a", make) == 4
    assert recall.get("c", make) == 3
