"""What the tests of profilers profile."""

from __future__ import annotations

from collections.abc import Iterator


def doubled(number: int) -> int:
    twice = 0
    twice += number + number
    return twice


def counted(stop: int) -> Iterator[int]:
    for number in range(stop):
        yield doubled(number)


class Adder:
    """Adds."""

    limit = 3

    def add(self, first: int, second: int) -> int:
        return self._checked(first + second)

    def _checked(self, value: int) -> int:
        if value < 0:
            raise ValueError(value)
        return value


class Wrapping:
    """Stands for an adder, as a custom transform stands for the deployment's own."""

    def __init__(self) -> None:
        self.made = Adder()
