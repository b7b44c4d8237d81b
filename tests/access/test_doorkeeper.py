"""Who comes in with which role, on a real store."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import text

from auth.grants import Role
from auth.verifying import InvalidToken
from crdt_store.engine import Database
from server.access.identity import Identity
from tests.access.doors import Clock, House, open_house, room


class Team:
    """Alice's project with a workspace and a chat; Bob is in none of it."""

    def __init__(self, house: House, alice: Identity, bob: Identity, ids: tuple[int, int, int]) -> None:
        self.house, self.alice, self.bob = house, alice, bob
        self.project, self.workspace, self.chat = ids
        self.file = f"workspace:{self.workspace}/a.md"


async def team_of(house: House) -> Team:
    alice, bob = await house.identity("alice"), await house.identity("bob")
    project = await house.stores.projects.create_project("Game", created_by=alice.user_id)
    workspace = await house.stores.projects.create_workspace(project.id, "Main")
    chat = await house.stores.projects.create_chat(project.id, "Talk")
    house.door.room_changed(None)
    house.door.user_changed(alice.user_id)
    house.heard.clear()
    return Team(house, alice, bob, (project.id, workspace.id, chat.id))


@pytest.fixture
async def team(house: House) -> Team:
    return await team_of(house)


async def test_a_token_says_who_somebody_is(house: House) -> None:
    alice = await house.identity("alice", {"*": Role.EDITOR})
    again = await house.identity("alice")
    assert alice.user_id == again.user_id != (await house.identity("bob")).user_id
    assert alice.principal.grants == {"*": Role.EDITOR}
    with pytest.raises(InvalidToken):
        await house.door.identify("nonsense")


@pytest.mark.parametrize(
    ("subject", "is_id"),
    [("4711", True), ("0", False), ("007", False), ("-5", False), ("٣", False), ("4711x", False)],
)
async def test_an_integer_subject_is_the_id_where_the_issuer_numbers_its_users(
    database: Database, clock: Clock, subject: str, is_id: bool
) -> None:
    house = await open_house(database, clock, integer_subject_issuers=["costudio"])
    assert ((await house.identity(subject)).user_id == 4711) is is_id


@pytest.mark.parametrize("subject", ["1", "9" * 100])
async def test_an_id_that_is_taken_or_too_large_is_no_identity(
    database: Database, clock: Clock, subject: str
) -> None:
    house = await open_house(database, clock, integer_subject_issuers=["costudio"])
    assert (await house.identity("alice")).user_id == 1
    with pytest.raises(InvalidToken, match="id"):
        await house.identity(subject)


async def test_a_membership_in_the_project_counts_in_all_of_it(team: Team) -> None:
    house = team.house
    for name in (f"project:{team.project}", f"workspace:{team.workspace}", team.file, f"chat:{team.chat}"):
        assert await house.role(team.alice, name) is Role.ADMIN
        assert await house.role(team.bob, name) is Role.NONE
    assert await house.role(team.bob, "workspace:99/a.md") is Role.EDITOR
    assert await house.role(team.bob, "global") is Role.VIEWER


async def test_a_room_with_a_number_that_no_row_can_have_belongs_to_no_project(team: Team) -> None:
    assert await team.house.role(team.bob, "workspace:999999999999999999/a.md") is Role.EDITOR


async def test_a_change_counts_from_the_moment_it_is_told(team: Team) -> None:
    house, bob = team.house, team.bob
    assert await house.role(bob, team.file) is Role.NONE
    await house.stores.memberships.set_role(
        f"project:{team.project}", bob.user_id, Role.EDITOR, set_by=team.alice.user_id
    )
    house.door.user_changed(bob.user_id)
    assert await house.role(bob, team.file) is Role.EDITOR
    assert house.heard == [frozenset({bob.user_id})]
    await house.stores.projects.delete_project(team.project)
    house.door.room_changed(room(f"project:{team.project}"))
    assert house.heard[1:] == [None]
    for who in (bob, team.alice):
        assert await house.role(who, team.file) is Role.NONE


async def test_a_room_that_becomes_a_projects_is_closed_to_who_was_in_it(team: Team) -> None:
    next_room = f"workspace:{team.workspace + 1}/a.md"
    assert await team.house.role(team.bob, next_room) is Role.EDITOR
    made = await team.house.stores.projects.create_workspace(team.project, "Next")
    team.house.door.room_changed(room(f"workspace:{made.id}"))
    assert await team.house.role(team.bob, f"workspace:{made.id}/a.md") is Role.NONE
    assert made.id == team.workspace + 1


async def test_a_reconnect_storm_asks_the_database_nothing(team: Team) -> None:
    house = team.house
    token = house.token("bob")

    async def reconnect() -> None:
        who = await house.door.identify(token)
        for name in (team.file, f"workspace:{team.workspace}/b.md", f"chat:{team.chat}", "workspace:99/x"):
            await house.role(who, name)

    await reconnect()
    calls = house.database.calls
    for _ in range(1000):
        await reconnect()
    assert house.database.calls == calls


async def test_where_grants_are_the_authority_memberships_change_nothing(
    database: Database, clock: Clock
) -> None:
    house = await open_house(database, clock, grants_are_authority=True)
    team = await team_of(house)
    assert await house.role(team.alice, team.file) is Role.NONE
    guest = await house.identity("guest", {team.file: Role.COMMENTER})
    assert await house.role(guest, team.file) is Role.COMMENTER


async def test_a_revoked_token_is_refused_and_others_of_its_user_are_not(house: House, clock: Clock) -> None:
    lost, kept = house.token("bob", token_id="lost"), house.token("bob", token_id="kept")
    bob = await house.door.identify(lost)
    await house.door.revoke_token("lost", expires_at_seconds=clock() + 3600, revoked_by=bob.user_id)
    assert house.door.is_revoked(bob)
    assert house.heard == [None]
    with pytest.raises(InvalidToken, match="revoked"):
        await house.door.identify(lost)
    assert not house.door.is_revoked(await house.door.identify(kept))


async def test_a_revoked_user_comes_in_again_with_a_token_made_later(house: House, clock: Clock) -> None:
    old = house.token("bob")
    bob = await house.door.identify(old)
    await house.door.revoke_user(bob.user_id, revoked_by=bob.user_id)
    assert house.heard == [frozenset({bob.user_id})]
    with pytest.raises(InvalidToken, match="revoked"):
        await house.door.identify(old)
    clock.now_seconds += 0.01
    assert not house.door.is_revoked(await house.identity("bob"))
    assert not house.door.is_revoked(await house.identity("alice"))


async def test_a_token_that_does_not_say_when_it_was_issued_counts_as_old(house: House) -> None:
    bob = await house.identity("bob")
    undated = Identity(bob.user_id, replace(bob.principal, issued_at_seconds=0.0))
    assert not house.door.is_revoked(undated)
    await house.door.revoke_user(bob.user_id, revoked_by=bob.user_id)
    assert house.door.is_revoked(undated)


async def test_what_was_revoked_stays_so_after_a_restart(
    house: House, database: Database, clock: Clock
) -> None:
    clock.now_seconds += 0.000_4  # between two of the milliseconds that are stored
    lost, bobs = house.token("alice", token_id="lost"), house.token("bob")
    alice, bob = await house.door.identify(lost), await house.door.identify(bobs)
    await house.door.revoke_token("lost", expires_at_seconds=None, revoked_by=alice.user_id)
    await house.door.revoke_user(bob.user_id, revoked_by=bob.user_id)
    restarted = await open_house(database, clock)
    for token in (lost, bobs):
        with pytest.raises(InvalidToken, match="revoked"):
            await restarted.door.identify(token)


async def test_a_ticket_lets_in_once_as_who_got_it(house: House) -> None:
    bob = await house.identity("bob", {"*": Role.VIEWER})
    ticket, seconds = await house.door.issue_ticket(bob, room("chat:1"))
    assert seconds == 30
    assert await house.door.redeem(ticket, room("chat:1")) == bob
    with pytest.raises(InvalidToken, match="used"):
        await house.door.redeem(ticket, room("chat:1"))


async def test_a_ticket_for_another_room_is_refused_and_spent(house: House) -> None:
    ticket, _ = await house.door.issue_ticket(await house.identity("bob"), room("chat:1"))
    with pytest.raises(InvalidToken, match="another room"):
        await house.door.redeem(ticket, room("chat:2"))
    with pytest.raises(InvalidToken, match="used"):
        await house.door.redeem(ticket, room("chat:1"))


def _too_late(clock: Clock) -> None:
    clock.now_seconds += 30


def _token_ended(clock: Clock) -> None:
    clock.now_seconds += 15.1


@pytest.mark.parametrize(("pass_time", "reason"), [(_too_late, "too old"), (_token_ended, "has expired")])
async def test_a_ticket_ends_by_itself_and_with_its_token(
    house: House, clock: Clock, pass_time: Callable[[Clock], None], reason: str
) -> None:
    bob = await house.door.identify(house.token("bob", ttl_seconds=10))  # and 5 of leeway
    ticket, _ = await house.door.issue_ticket(bob, room("chat:1"))
    pass_time(clock)
    with pytest.raises(InvalidToken, match=reason):
        await house.door.redeem(ticket, room("chat:1"))


async def test_a_ticket_of_a_user_who_was_revoked_since_is_refused(house: House) -> None:
    bob = await house.identity("bob")
    ticket, _ = await house.door.issue_ticket(bob, room("chat:1"))
    await house.door.revoke_user(bob.user_id, revoked_by=bob.user_id)
    with pytest.raises(InvalidToken, match="revoked"):
        await house.door.redeem(ticket, room("chat:1"))


@pytest.mark.parametrize("ticket", ["", "x", "x" * 43, "x" * 10_000, "\ud800", "€" * 20])
async def test_what_is_no_ticket_is_refused(house: House, ticket: str) -> None:
    with pytest.raises(InvalidToken):
        await house.door.redeem(ticket, room("chat:1"))


async def test_a_ticket_that_was_tampered_with_in_the_store_is_refused(
    house: House, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    ticket, _ = await house.door.issue_ticket(await house.identity("bob"), room("chat:1"))
    await database.write(lambda connection: connection.execute(text("UPDATE tickets SET claims = '{}'")))
    with pytest.raises(InvalidToken, match="cannot be read"):
        await house.door.redeem(ticket, room("chat:1"))
    assert "stored ticket" in caplog.text


async def test_the_store_does_not_know_the_tickets_it_keeps(house: House, database: Database) -> None:
    ticket, _ = await house.door.issue_ticket(await house.identity("bob"), room("chat:1"))
    rows = await database.read(lambda connection: connection.execute(text("SELECT * FROM tickets")).all())
    assert len(rows) == 1
    assert ticket not in repr(rows)
