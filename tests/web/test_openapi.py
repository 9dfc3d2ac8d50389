"""What `/openapi.json` promises, held against generated requests."""

from __future__ import annotations

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, settings

from app.web.ops import ops_app


async def well() -> bool:
    return True


APP = ops_app({"database": well, "knowledge": well}, draining=lambda: False)
schema = schemathesis.openapi.from_asgi("/openapi.json", APP)


@pytest.mark.filterwarnings("ignore")
@schema.parametrize()
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_route_answers_as_it_says(case: schemathesis.Case) -> None:
    case.call_and_validate()


def test_the_description_names_what_probes_ask() -> None:
    described = TestClient(APP).get("/openapi.json").json()["paths"]
    assert {"/healthz", "/readyz"} <= described.keys()
