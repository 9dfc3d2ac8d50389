"""A small simulated stack: systems on loopback that tell one incident, always in the same way.

async with SimulatedStack("pool-exhausted", clock=lambda: datetime.now(UTC)) as stack:
    settings = Settings.load(**stack.environment())
"""

from app.playground.stack.scenario import Scenario
from app.playground.stack.scenarios import SCENARIOS
from app.playground.stack.serving import Asked, Fault, Faults
from app.playground.stack.shop import Shop
from app.playground.stack.stack import SYSTEMS, NothingWrong, SimulatedStack
from app.playground.stack.world import NoSuchScenario

__all__ = [
    "SCENARIOS",
    "SYSTEMS",
    "Asked",
    "Fault",
    "Faults",
    "NoSuchScenario",
    "NothingWrong",
    "Scenario",
    "Shop",
    "SimulatedStack",
]
