"""The hour's budget decides whether a diagnosis begins; one that has begun goes on to its end."""

from __future__ import annotations

from app.agent.budget import Budget, Estimate, Reservation, Spent


class OnceBegun:
    """The `Budget` of one diagnosis: `gate` refuses its first request, `after` any other.

    Both count in the same windows. What a diagnosis may use in all, its own limits say.
    """

    def __init__(self, gate: Budget, after: Budget, *, begun: bool) -> None:
        self._gate, self._after, self._begun = gate, after, begun

    async def reserve(self, estimate: Estimate) -> Reservation:
        if self._begun:
            return await self._after.reserve(estimate)
        held = await self._gate.reserve(estimate)
        self._begun = True
        return held

    async def settle(self, reservation: Reservation, spent: Spent | None) -> None:
        await self._gate.settle(reservation, spent)

    async def release(self, reservation: Reservation) -> None:
        await self._gate.release(reservation)
