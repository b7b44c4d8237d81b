"""What all commands of `costudio` share: how they get their settings, and how they end when something is wrong."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError

from server.settings import Settings

DataDir = Annotated[Path | None, typer.Option(help="Where the embedded database and the secret live.")]

REFUSED = 2
"""Exit code: nothing was done, and one line on stderr says why."""


def read_settings(**options: object) -> Settings:
    """From the environment and `.env`; options that are not None win. Ends the command where they are wrong."""
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as error:
        fail("; ".join(f"{variable(str(fault['loc'][0]))}: {fault['msg']}" for fault in error.errors()))


def variable(name: str) -> str:
    """The environment variable of a setting, which may be given by its own name or by the variable's."""
    field = Settings.model_fields.get(name)
    if field is None:
        return name
    return str(field.validation_alias or f"COSTUDIO_{name.upper()}")


def fail(message: str) -> NoReturn:
    """End the command: nothing was done."""
    typer.echo(f"costudio: {message}", err=True)
    raise typer.Exit(REFUSED)
