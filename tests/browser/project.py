"""What the studio shows to people who work together: a project with a workspace and chats."""

import httpx

from tests.server_process import ServerProcess

PEOPLE = {"alice": "admin", "bob": "editor", "carla": "editor", "dora": "viewer"}


async def make_project(server: ServerProcess) -> None:
    """Workspace 1 and two chats, for everybody in PEOPLE, in these roles."""
    tokens = {user: await server.token(user, role="admin") for user in PEOPLE}
    async with httpx.AsyncClient(base_url=f"{server.url}/api", trust_env=False) as http:

        async def ask(method: str, path: str, body: dict[str, str] | None = None, user: str = "alice") -> int:
            headers = {"Authorization": f"Bearer {tokens[user]}"}
            answer = await http.request(method, path, json=body, headers=headers)
            answer.raise_for_status()
            data = answer.json()
            return int(data.get("id") or data["user_id"])

        project = await ask("POST", "/projects", {"name": "Lyra"})
        await ask("POST", f"/projects/{project}/workspaces", {"name": "Game"})
        for name in ("general", "builds"):
            await ask("POST", f"/projects/{project}/chats", {"name": name})
        for user, role in list(PEOPLE.items())[1:]:
            number = await ask("GET", "/me", user=user)
            await ask("PUT", f"/projects/{project}/members/{number}", {"role": role})
