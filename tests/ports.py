"""Ports for the test of one processor: those that it needs, and for the rest what fails when it is used."""

from typing import Any

from llmstack_api.engine.ports import Ports


class NotGiven:
    """An adapter that a test did not give, and that must not be used in it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> object:
        raise AssertionError(f"the port {self._name} is used, for {attribute}, and was not given")


def make_ports(**given: Any) -> Ports:
    """Make the ports of a run from the adapters that a test is about."""
    names = Ports.__dataclass_fields__
    return Ports(**{name: given.get(name, NotGiven(name)) for name in names})
