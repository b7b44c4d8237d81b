"""Whatever is asked over HTTP: no failure of the server, and an answer as the API's own description says.

The requests are made from that description, valid ones and broken ones, in the name of an administrator or of
nobody. Half of them name things that others have made, or have deleted.
"""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from anyio.from_thread import start_blocking_portal
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from auth.grants import Role
from server.settings import Settings
from server.token_settings import token_minter
from tests.server_process import ServerProcess, running_server

EXAMPLES = 10
"""Of each route."""

EVERYTHING = {"*": Role.ADMIN, "global": Role.ADMIN}

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

KNOWN = st.fixed_dictionaries(
    {
        "id": st.integers(1, 9),
        "user_id": st.integers(1, 9),
        "stale_id": st.integers(1, 9),
        "room": st.sampled_from(["workspace:1/a.md", "workspace:1", "chat:1", "project:1", "global", "a.md"]),
    }
)
"""Path parameters: what may be there by now."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    whose = ("USER", "ADDRESS")
    unlimited = {f"COSTUDIO_MAX_REQUESTS_PER_MINUTE_PER_{each}": str(10**9) for each in whose}
    serving = running_server(tmp_path_factory.mktemp("server"), unlimited)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(serving) as server:
        yield server


@pytest.mark.slow
def test_every_route_answers_as_it_says(server: ServerProcess) -> None:
    tokens = token_minter(Settings(data_dir=server.data_dir, dev=True))
    described = schemathesis.openapi.from_url(f"{server.url}/api/openapi.json")
    statuses: Counter[int] = Counter()

    def ask(case: schemathesis.Case[Any], known: dict[str, object]) -> None:
        case.path_parameters |= {name: known[name] for name in case.path_parameters.keys() & known.keys()}
        now = time.time()  # some of them revoke all tokens until now
        token = tokens.mint("root", grants=EVERYTHING, now_seconds=now, ttl_seconds=60)
        headers = {"Authorization": f"Bearer {token}"}
        response = case.call_and_validate(checks=CHECKS, headers=headers)
        assert response.status_code != 401 or "Authorization" not in response.request.headers
        statuses[response.status_code] += 1

    for result in described.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        cases = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode))
        examples = settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=True)
        examples(given(cases, st.just({}) | KNOWN)(ask))()
    assert statuses.keys() >= {200, 201, 204, 401, 404, 422}
