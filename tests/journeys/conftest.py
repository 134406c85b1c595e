"""One running market for all that is refused."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from storage import journal
from tests.journeys.actors import Cast
from tests.journeys.crowded import Market
from tests.live import live_server


@pytest.fixture(scope="package")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    with live_server(tmp_path_factory.mktemp("bad")) as server, closing(Cast(server)) as cast:
        made = Market(server, cast)
        with made.program:
            yield made
        assert "server fault" not in server.log(), server.log()[-4000:]
        assert journal.verify_stored(server.house.store).ok
