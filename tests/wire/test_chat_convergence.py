"""A chat whose people come, go and are cut off, and whose server dies: in the end all have and say the same.

`COSTUDIO_TEST_CHAT_STORIES` asks for more stories, `COSTUDIO_TEST_CHAT_STEPS` for longer ones,
`COSTUDIO_TEST_CHAT_SEED` for others.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import anyio
import httpx
import pytest

from server.settings import Settings
from server.token_settings import token_minter
from tests.interop.node_client import HERE
from tests.npm_packages import install_packages
from tests.server_process import running_server
from tests.wire.chat_people import JsonDevice, chat_driver
from tests.wire.chat_story import CHAT, Story
from tests.wire.chat_view import Key, Said, key_of, said

STORIES = int(os.environ.get("COSTUDIO_TEST_CHAT_STORIES", "1"))
STEPS = int(os.environ.get("COSTUDIO_TEST_CHAT_STEPS", "100"))
SEED = int(os.environ.get("COSTUDIO_TEST_CHAT_SEED", "0"))
STEPS_PER_RUN = 50
SECRET = "a secret for tests, long enough to sign with"

Messages = list[dict[str, Any]]


@pytest.mark.slow
@pytest.mark.timeout(60 + STEPS)
@pytest.mark.parametrize("seed", range(SEED, SEED + STORIES))
async def test_whatever_happens_all_have_each_message_once_in_one_order(tmp_path: Path, seed: int) -> None:
    install_packages(HERE)
    tokens = token_minter(Settings(data_dir=tmp_path, jwt_secret=SECRET))
    async with (
        running_server(tmp_path, {"COSTUDIO_JWT_SECRET": SECRET}) as server,
        httpx.AsyncClient(base_url=server.url, trust_env=False, verify=False) as http,
        chat_driver() as driver,
        anyio.create_task_group() as tasks,
    ):
        story = Story(server, driver, http, tokens, Random(seed))
        await story.begin(tasks)
        for number in range(1, STEPS + 1):
            await story.step()
            if number % STEPS_PER_RUN == 0:
                await story.restart(is_killed=number % (2 * STEPS_PER_RUN) == 0)
        await story.settle()
        await check(story)

        await story.restart(is_killed=True)  # what it has then is what was stored
        await story.join_by_yjs("ada")
        await story.settle()
        await check(story)
        tasks.cancel_scope.cancel()


async def check(story: Story) -> None:
    """That all have the same once nothing is on its way."""
    await story.yjs[0].wait_settled()
    stored = await stored_messages(story)
    messages = {key_of(message): said(message) for message in stored}
    check_stored(story, stored)
    await check_yjs_devices(story, messages)
    reactions = set((await story.yjs[0].call("read"))["reactions"])
    for device in story.json:
        await check_json_device(device, messages, reactions)
    await check_unread(story, stored)


async def stored_messages(story: Story) -> Messages:
    """All that the database has, by seq."""
    found: Messages = []
    before: int | None = None
    while not found or before is not None:
        query = {"limit": 200} | ({} if before is None else {"before": before})
        page = await story.rest("ada", f"{CHAT}/messages", params=query)
        found += page["items"]
        before = page["next_before"]
    return found[::-1]


def check_stored(story: Story, stored: Messages) -> None:
    """Each once and without a gap; all that was acknowledged is there, where that was said."""
    assert [message["seq"] for message in stored] == list(range(1, len(stored) + 1))
    keys = list(map(key_of, stored))
    assert len(set(keys)) == len(keys)
    assert story.saved <= set(keys)
    for device, request in story.sent:
        assert request.answer is not None
        answer = request.answer["payload"]
        assert keys[answer["seq"] - 1] == (device.user_id, request.payload["id"])


async def check_yjs_devices(story: Story, messages: Mapping[Key, Said]) -> None:
    """They hold what is stored; and what a user's only device has written last, stands."""
    for device in story.yjs:
        held = await device.call("read")
        assert len(held["messages"]) == len(messages)
        assert {key_of(message): said(message) for message in held["messages"]} == messages
        if device.name == "dee":
            for message_id, body in held["last_written"].items():
                stands = messages[device.user_id, message_id]
                assert (stands.is_deleted, stands.body) == (body is None, body or ""), message_id


async def check_json_device(device: JsonDevice, messages: Mapping[Key, Said], reactions: set[str]) -> None:
    """From its events alone it knows what is stored."""
    view = device.view
    await device.until(
        lambda: view.messages == messages, lambda: set(view.messages.items()) ^ set(messages.items())
    )
    await device.until(lambda: view.reactions == reactions, lambda: view.reactions ^ reactions)


async def check_unread(story: Story, stored: Messages) -> None:
    """What is unread is what others said after one's mark; nobody was told of a mark that there is not."""
    receipts = {each["user_id"]: each for each in (await story.rest("ada", f"{CHAT}/receipts"))["items"]}
    for user, user_id in story.user_ids.items():
        read_seq = receipts[user_id]["read_seq"] if user_id in receipts else 0
        unread = [
            message
            for message in stored
            if message["seq"] > read_seq and message["sender_id"] != user_id and not message["deleted"]
        ]
        assert (await story.rest(user, f"{CHAT}/unread"))["unread"] == len(unread)
    for device in story.json:
        for (user_id, status), seq in device.view.marks.items():
            assert seq <= receipts[user_id][f"{status}_seq"]
