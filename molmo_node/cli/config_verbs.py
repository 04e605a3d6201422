"""config check|show|schema: what is set, and where each value came from."""

from __future__ import annotations

import json as json_module

import typer

from molmo_node.cli import options

config_app = typer.Typer(
    no_args_is_help=True, help="What is set, and by whom.", rich_markup_mode=None
)


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    config_app.command("check", epilog="Example: molmo-node config check -c configs/robot.yaml")(
        check
    )
    config_app.command("show", epilog="Example: molmo-node config show")(show)
    config_app.command("schema", epilog="Example: molmo-node config schema > schema.json")(schema)
    app.add_typer(config_app, name="config")


def check(config: options.Config = None) -> None:
    """Read the settings and say whether they hold; exit code 2 if not."""
    from molmo_node.cli import session

    loaded = session.load_settings(config)
    cameras = ", ".join(camera.name for camera in loaded.settings.cameras) or "none"
    print(f"ok: cameras {cameras}; model {loaded.settings.worker.model}")


def show(config: options.Config = None, json: options.Json = False) -> None:
    """Every setting, its value, and where it came from."""
    from molmo_node.cli import session
    from molmo_node.config import show as rows

    for row in rows(session.load_settings(config)):
        if json:
            print(json_module.dumps({"key": row.key, "value": row.value, "origin": row.origin}))
        else:
            print(f"{row.key} = {row.value}  ({row.origin})")


def schema() -> None:
    """The JSON schema of a settings file, for editors."""
    from molmo_node.config import schema as settings_schema

    print(json_module.dumps(settings_schema(), indent=2))
