"""People of a chat to whom things happen at random, and whose server dies now and then."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from random import Random
from typing import Any

import httpx
from anyio.abc import TaskGroup

from auth.grants import Role
from auth.minting import TokenMinter
from tests.interop.node_client import NodeDriver
from tests.server_process import ServerProcess
from tests.wire.chat_people import ROOM, JsonDevice, Request, YjsDevice
from tests.wire.chat_view import Key

DEVICES = {"ada": "yyj", "ben": "yj", "cy": "j", "dee": "y", "eve": "jj"}
"""Of each user: stock Yjs clients (y) and JSON clients (j)."""

CHAT = f"chats/{ROOM.partition(':')[2]}"
_EMOJIS = ("👍", "🎉")
_MEDDLING = ("edit", "seq", "remove", "receipt")
_TOKEN_SECONDS = 3600


class Story:
    """`sent`: what JSON devices wanted to say. `saved`: what Yjs devices that are gone were told is saved."""

    def __init__(
        self,
        server: ServerProcess,
        driver: NodeDriver,
        http: httpx.AsyncClient,
        tokens: TokenMinter,
        random: Random,
    ) -> None:
        self.random = random
        self.json: list[JsonDevice] = []
        self.yjs: list[YjsDevice] = []
        self.user_ids: dict[str, int] = {}
        self.sent: list[tuple[JsonDevice, Request]] = []
        self.saved: set[Key] = set()
        self._server = server
        self._driver = driver
        self._http = http
        self._tokens = tokens
        self._numbers = count(1)
        self._is_up = asyncio.Event()
        self._is_up.set()

    async def begin(self, tasks: TaskGroup) -> None:
        """Everybody comes; JSON devices live in `tasks`."""
        for user, kinds in DEVICES.items():
            self.user_ids[user] = (await self.rest(user, "me"))["user_id"]
            for kind in kinds:
                if kind == "y":
                    await self.join_by_yjs(user)
                    continue
                address = self._server.websocket_url.removesuffix("/ws") + "/events"
                url = f"{address}?token={self._token(user)}"
                self.json.append(JsonDevice(url, self.user_ids[user], self._is_up))
                tasks.start_soon(self.json[-1].run)

    async def join_by_yjs(self, user: str) -> None:
        device = YjsDevice(self._driver, next(self._numbers), user, self.user_ids[user])
        await device.connect(self._server.websocket_url, self._token(user))
        self.yjs.append(device)

    async def rest(self, user: str, path: str, method: str = "GET", **more: Any) -> Any:
        """What the server answers over HTTP."""
        headers = {"Authorization": f"Bearer {self._token(user)}"}
        answer = await self._http.request(method, f"/api/{path}", headers=headers, **more)
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.json()

    def _token(self, user: str) -> str:
        return self._tokens.mint(
            user, grants={"*": Role.EDITOR}, now_seconds=time.time(), ttl_seconds=_TOKEN_SECONDS
        )

    # What happens

    async def step(self) -> None:
        """One thing."""
        await self._one_of(
            {
                self._change_by_json: 40,
                self._change_by_yjs: 40,
                self._read: 8,
                self._wait_for_answer: 8,
                self._json_connection: 5,
                self._yjs_connection: 5,
                self._lose_yjs_device: 1,
            }
        )

    async def restart(self, *, is_killed: bool) -> None:
        """The server is killed (SIGKILL) or stopped (SIGTERM); people go on while it is away."""
        self._is_up.clear()
        if is_killed:
            await self._server.kill()
        else:
            await self._server.stop()
        for _ in range(self.random.randrange(8)):
            await self._one_of({self._change_by_json: 1, self._change_by_yjs: 1})
        await self._server.start()
        self._is_up.set()

    async def settle(self) -> None:
        """All come back, and everything is answered."""
        for yjs in self.yjs:
            await yjs.reconnect()
        for json in self.json:
            json.reconnect()
        for json in self.json:
            await json.until_answered()

    async def _one_of(self, things: Mapping[Callable[[], Awaitable[None]], int]) -> None:
        (thing,) = self.random.choices(list(things), list(things.values()))
        await thing()

    async def _change_by_json(self) -> None:
        device, body = self.random.choice(self.json), self._body()
        own = device.view.own(device.user_id)
        own += [request.payload["id"] for by, request in self.sent if by is device and request.answer is None]
        others = [message_id for _, message_id in device.view.messages]
        action = self._action("send", "edit", "delete", "react", "resend")
        if action == "send" or not own:
            self.sent.append((device, await device.ask("message", id=self._uuid(), body=body)))
        elif action == "resend":
            await device.ask("message", id=self.random.choice(own), body=body)
        elif action == "edit":
            await device.ask("message", id=self.random.choice(own), action="edit", body=body)
        elif action == "delete":
            await device.ask("message", id=self.random.choice(own), action="delete")
        elif others:
            how = self.random.choice(["react", "unreact"])
            reaction = self.random.choice(_EMOJIS)
            await device.ask("message", id=self.random.choice(others), action=how, reaction=reaction)

    async def _change_by_yjs(self) -> None:
        """Which message is meant depends on what the replica has."""
        action = self._action("send", "edit", "delete", "react", "resend", "meddle")
        await self.random.choice(self.yjs).call(
            action,
            pick=self.random.random(),
            body=self._body(),
            message_id=self._uuid(),
            emoji=self.random.choice(_EMOJIS),
            how=self.random.choice(_MEDDLING),
            spare=self.user_ids["dee"],  # an edit that meets what puts such a thing right may lose against it
        )

    def _action(self, *actions: str) -> str:
        return self.random.choices(actions, (10, 5, 2, 4, 1, 1)[: len(actions)])[0]

    def _body(self) -> str:
        return f"{self.random.getrandbits(64):x}" * self.random.choice([1, 1, 1, 40])

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128)))

    async def _read(self) -> None:
        device = self.random.choice(self.json)
        seq = self.random.randint(0, len(device.view.messages) + 1)
        await device.ask(self.random.choice(["message_read", "message_delivered"]), seq=seq)
        await self.rest(self.random.choice(["ada", "dee"]), f"{CHAT}/read", "PUT", json={"seq": seq})

    async def _wait_for_answer(self) -> None:
        waiting = [device for device in self.json if device.is_connected and device.unanswered]
        if waiting:
            device = self.random.choice(waiting)
            await device.until_answered(but=len(device.unanswered) - 1)

    async def _json_connection(self) -> None:
        device, is_clean = self.random.choice(self.json), self.random.random() < 0.5
        happens = self.random.choice(["disconnect", "lose", "reconnect", "reconnect"])
        if happens == "disconnect":
            await device.disconnect(is_clean=is_clean)
        elif happens == "lose":
            await device.lose_connection(is_clean=is_clean)
        else:
            device.reconnect()

    async def _yjs_connection(self) -> None:
        happens = self.random.choice(["disconnect", "sever", "reconnect", "reconnect"])
        await self.random.choice(self.yjs).call(happens)

    async def _lose_yjs_device(self) -> None:
        """For good, with what was not saved; its user takes another."""
        device = self.random.choice([each for each in self.yjs if each.name != "dee"])  # see `last_written`
        self.saved |= {(device.user_id, message_id) for message_id in await device.call("destroy")}
        self.yjs.remove(device)
        await self.join_by_yjs(device.name)
