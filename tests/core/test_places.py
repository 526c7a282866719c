"""Who gets a place, in which order, and who is refused one."""

import asyncio

import pytest

from orchestrator.core.places import Places
from orchestrator.errors import StorageUnavailable


def soon(seconds: float = 60) -> float:
    return asyncio.get_running_loop().time() + seconds


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_no_more_than_all_places_are_taken_and_who_waits_longest_is_next() -> None:
    places = Places(2, groups_max=2, group_max=2)
    order: list[int] = []
    most = [0]

    async def use(number: int) -> None:
        await places.take(number % 3, soon())
        order.append(number)
        most.append(most[-1] + 1)
        await asyncio.sleep(0)
        most.append(most[-1] - 1)
        places.give_back(number % 3)

    await asyncio.gather(*(use(number) for number in range(20)))
    assert order == list(range(20))
    assert max(most) == 2


async def test_a_group_leaves_the_others_their_places() -> None:
    places = Places(3, groups_max=3, group_max=2)
    await places.take("a", soon())
    await places.take("a", soon())
    third = asyncio.create_task(places.take("a", soon()))
    await turns()
    await asyncio.wait_for(places.take("b", soon()), 1)
    fourth = asyncio.create_task(places.take(None, soon()))
    places.give_back("b")
    await turns()
    assert not third.done(), "its group has all that it may have"
    assert fourth.done()
    places.give_back("a")
    await turns()
    assert third.done()


async def test_who_belongs_to_no_group_may_have_all_places() -> None:
    places = Places(3, groups_max=1, group_max=1)
    for _ in range(3):
        await asyncio.wait_for(places.take(None, soon()), 1)


async def test_who_waits_too_long_is_refused_and_takes_no_place_along() -> None:
    places = Places(1, groups_max=1, group_max=1)
    await places.take("a", soon())
    with pytest.raises(StorageUnavailable):
        await places.take("a", soon(0.05))
    places.give_back("a")
    await asyncio.wait_for(places.take("a", soon()), 1)


@pytest.mark.parametrize("has_place", [False, True])
async def test_who_is_cancelled_takes_no_place_along(*, has_place: bool) -> None:
    places = Places(1, groups_max=1, group_max=1)
    await places.take("a", soon())
    waiting = asyncio.create_task(places.take("a", soon()))
    await turns()
    if has_place:
        places.give_back("a")  # It is given to the one that waits, which does not know yet.
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    if not has_place:
        places.give_back("a")
    await asyncio.wait_for(places.take("a", soon()), 1)


async def test_all_groups_together_leave_places_for_those_of_no_group() -> None:
    places = Places(3, groups_max=2, group_max=1)
    await places.take("a", soon())
    await places.take("b", soon())
    third = asyncio.create_task(places.take("c", soon()))
    await asyncio.wait_for(places.take(None, soon()), 1)
    places.give_back(None)
    await turns()
    assert not third.done()
    places.give_back("a")
    await asyncio.wait_for(third, 1)
