"""keys new|list|revoke: who may connect from other hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from molmo_node.cli import options

keys = typer.Typer(no_args_is_help=True, help="CURVE keys, by name.", rich_markup_mode=None)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="`node`, or a client's name.")]
_Folder = Annotated[
    Path | None, typer.Option("--folder", metavar="FOLDER", help="The keys folder.")
]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    keys.command("new", epilog="Example: molmo-node keys new robot-7")(new)
    keys.command("list", epilog="Example: molmo-node keys list")(list_keys)
    keys.command("revoke", epilog="Example: molmo-node keys revoke robot-7")(revoke)
    app.add_typer(keys, name="keys")


def new(name: _Name, folder: _Folder = None, config: options.Config = None) -> None:
    """Make a key pair (secret file 0600) and allow its holder to connect."""
    from molmo_node.bus.keys import new_key

    path = new_key(_folder(folder, config), name)
    print(f"secret {path}")
    print(f"public {path.with_suffix('.key')}")


def list_keys(folder: _Folder = None, config: options.Config = None) -> None:
    """The names that may connect here, and their public keys."""
    from molmo_node.bus.keys import allowed_keys

    for public, name in allowed_keys(_folder(folder, config)).items():
        print(f"{name:<24} {public.decode()}")


def revoke(name: _Name, folder: _Folder = None, config: options.Config = None) -> None:
    """Take a name off the allow-list and delete its pair."""
    from molmo_node.bus.keys import revoke_key

    revoke_key(_folder(folder, config), name)
    print(f"revoked {name}; its open connections end when they break")


def _folder(folder: Path | None, config: Path | None) -> Path:
    if folder is not None:
        return folder
    from molmo_node.cli import session

    return session.load_settings(config).settings.security.keys_dir
