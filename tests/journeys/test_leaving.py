"""Somebody leaves an organization: what they kept for it stops working, over real HTTP."""

import uuid
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from market.identity.rules import OrgKind, Role
from tests.journeys.actors import ASSET, Person
from tests.live import Server, live_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with live_server(tmp_path_factory.mktemp("leaving")) as server:
        yield server
        assert "server fault" not in server.log(), server.log()[-4000:]


class Office:
    """An enterprise of three: an administrator who also supplies, and two who buy."""

    def __init__(self, server: Server) -> None:
        mark = uuid.uuid4().hex[:8].upper()
        for letter, digit in zip("IOSVZ", "12345", strict=True):
            mark = mark.replace(letter, digit)
        self.server = server
        org = server.institution(f"远航科技 {mark}", OrgKind.ENTERPRISE, f"91370200{mark}A")
        self.people = {
            name: Person(
                server,
                f"{name}-{mark}@journey.example".lower(),
                server.person(f"{name}-{mark}@journey.example".lower(), name, org, *roles),
            )
            for name, roles in {
                "head": (Role.ORG_ADMIN, Role.PROVIDER, Role.BUYER),
                "leaver": (Role.BUYER,),
                "stayer": (Role.BUYER,),
            }.items()
        }
        self.head, self.leaver, self.stayer = self.people.values()

    def remove(self, name: str) -> None:
        """The administrator removes a member."""
        rows = self.head.get("/parties/own/members")
        member = next(row["id"] for row in rows if row["name"] == name)
        assert self.head.http.delete(f"/api/v1/parties/own/members/{member}").status_code == 204

    def token(self, client: dict[str, Any]) -> httpx2.Response:
        """What /oauth/token says to this client."""
        return httpx2.post(
            f"{self.server.url}/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=(client["client_id"], client["client_secret"]),
            trust_env=False,
        )

    def program(self, client: dict[str, Any]) -> httpx2.Client:
        """A program that carries a fresh token of this client."""
        answer = self.token(client)
        assert answer.status_code == 200, answer.text
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        return httpx2.Client(base_url=self.server.url, headers=headers, trust_env=False)


@pytest.fixture
def office(server: Server) -> Iterator[Office]:
    made = Office(server)
    yield made
    for person in made.people.values():
        person.close()


def drafting(program: httpx2.Client) -> int:
    """What a program is told that drafts an asset: only who supplies may."""
    body = ASSET | {"code": uuid.uuid4().hex[:8]}
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    return program.post("/api/v1/assets", json=body, headers=headers).status_code


def test_a_removed_members_programs_are_refused(office: Office) -> None:
    mine = office.leaver.post("/credentials", {"name": "leaver's"}, status=201)
    other = office.stayer.post("/credentials", {"name": "stayer's"}, status=201)
    with office.program(mine) as program, office.program(other) as untouched:
        assert program.get("/api/v1/orders").status_code == 200
        office.remove("leaver")
        refused = program.get("/api/v1/orders")
        assert (refused.status_code, refused.json()["type"]) == (401, "/problems/invalid-token")
        assert office.token(mine).status_code == 401
        assert untouched.get("/api/v1/orders").status_code == 200
    assert office.token(other).status_code == 200
    ended = {row["name"]: row["ended_at"] is not None for row in office.stayer.get("/credentials")}
    assert ended == {"leaver's": True, "stayer's": False}


def test_a_program_may_do_no_more_than_its_keeper(office: Office) -> None:
    buyers = office.stayer.post("/credentials", {"name": "a buyer's"}, status=201)
    both = office.head.post("/credentials", {"name": "the head's"}, status=201)
    with office.program(buyers) as program, office.program(both) as wide:
        assert program.get("/api/v1/orders").status_code == 200
        assert drafting(program) == 403
        assert drafting(wide) == 201
        assert wide.get("/api/v1/parties/own/members").status_code == 403  # programs decide nothing
        made = program.post("/api/v1/credentials", json={"name": "by a program"})
    assert made.status_code == 201, made.text
    keepers = {row["name"]: row["kept_by"] for row in office.stayer.get("/credentials")}
    assert keepers["by a program"] == keepers["a buyer's"] != keepers["the head's"]


def test_who_rotates_a_credential_takes_it_over(office: Office) -> None:
    older = office.leaver.post("/credentials", {"name": "handed over"}, status=201)
    newer = office.head.post(f"/credentials/{older['client_id']}/rotation")
    with office.program(newer) as program:
        assert drafting(program) == 403  # the leaver still holds a working secret
        assert office.token(older).status_code == 200
        office.remove("leaver")
        assert office.token(older).status_code == 401
        assert drafting(program) == 201
        assert program.get("/api/v1/orders").status_code == 200
    assert office.token(newer).status_code == 200
