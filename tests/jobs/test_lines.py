"""Slots that accounts take in turn."""

import asyncio
from uuid import UUID, uuid4

from llmstack_api.jobs.lines import FairSlots


class Visits:
    """Who had a slot, in order; each keeps it until it is told to leave."""

    def __init__(self, slots: FairSlots) -> None:
        self.order: list[str] = []
        self._slots = slots
        self._leaving: dict[str, asyncio.Event] = {}

    async def visit(self, name: str, account: UUID, *, later: bool = False) -> None:
        self._leaving[name] = asyncio.Event()
        async with self._slots.slot(account, later=later):
            self.order.append(name)
            await self._leaving[name].wait()

    async def leave(self, name: str) -> None:
        self._leaving[name].set()
        await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_accounts_take_turns_and_what_may_come_later_comes_last_of_its_account() -> None:
    noisy, quiet = uuid4(), uuid4()
    visits = Visits(FairSlots(1))
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        wanted = [("a", noisy, True), ("b", noisy, True), ("c", noisy, True), ("d", noisy, False)]
        for name, account, later in [*wanted, ("e", quiet, False)]:
            group.create_task(visits.visit(name, account, later=later))
            await settle()
        for name in "adebc":
            assert visits.order[-1] == name
            await visits.leave(name)
    assert visits.order == list("adebc")


async def test_a_slot_is_not_lost_to_those_who_were_cancelled() -> None:
    account = uuid4()
    visits = Visits(FairSlots(2))
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        tasks = {name: group.create_task(visits.visit(name, account)) for name in "abcdef"}
        await settle()
        assert visits.order == ["a", "b"]
        tasks["c"].cancel()  # while it waits
        await settle()
        tasks["a"].cancel()  # its slot is d's
        await asyncio.sleep(0)
        tasks["d"].cancel()  # in the moment in which it has been given the slot, or just after
        await settle()
        assert visits.order[-1] == "e"
        for name in "bef":
            await visits.leave(name)
    assert "f" in visits.order
    async with FairSlots(1).slot(account):
        pass
