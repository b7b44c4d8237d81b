"""What the others see of a user in awareness, whatever the client claims."""

from typing import Any

from server.access.identity import Identity


def shown_user(identity: Identity) -> dict[str, Any]:
    """The parts of `user` that the token decides: who it is, and how it looks where the token says so."""
    principal = identity.principal
    shown: dict[str, Any] = {"id": identity.user_id, "name": principal.name}
    if principal.color is not None:
        shown["color"] = principal.color
    if principal.avatar is not None:
        shown["avatar"] = principal.avatar
    if principal.agent is not None:
        agent = {"name": principal.agent.name, "run": principal.agent.run}
        shown["agent"] = agent | {"on_behalf_of": principal.agent.on_behalf_of}
    return shown
