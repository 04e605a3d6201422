"""Settings of the ways out, one section a kind."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from molmo_node.config.fields import Name, Section

_TOPIC = r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$"


class SinkSettings(Section):
    """What the kinds share."""

    watches: tuple[Name, ...] = ()
    """Watches whose answers go out; empty: every one that was given a name."""
    buffer: int = Field(default=10_000, ge=1, le=100_000)
    """Answers kept while the way out is closed; then the oldest are dropped and counted."""


class ConsoleSettings(SinkSettings):
    """Lines on stdout."""

    format: Literal["text", "json"] = "text"
    """text for people; json: whole answers, one object a line."""


class FileSettings(SinkSettings):
    """A file a day in a folder."""

    folder: Path = Path("readings")
    """Folder of the files; made if it is not there."""
    keep_days: int | None = Field(default=None, ge=1, le=36_500)
    """Files of older days are removed; none: all are kept."""


class MqttSettings(SinkSettings):
    """A broker, and Home Assistant behind it."""

    host: str = Field(default="localhost", min_length=1, max_length=253)
    """The broker."""
    port: int | None = Field(default=None, ge=1, le=65535)
    """Its port; none: 1883, with tls 8883."""
    username: str | None = None
    """User name, if the broker asks for one."""
    password: SecretStr | None = None
    """Password; better in password_file or in MOLMO_NODE_SINKS__MQTT__PASSWORD."""
    password_file: Path | None = None
    """File that holds the password, and nothing else."""
    tls: bool = False
    """Encrypt, and check the broker's certificate."""
    tls_ca: Path | None = None
    """Certificate authority of the broker (PEM); none: those that this machine trusts."""
    keepalive_s: int = Field(default=10, ge=2, le=3600)
    """Seconds of silence after which broker and sink take each other for lost."""
    topic_prefix: str = Field(default="molmo_node", pattern=_TOPIC)
    """First words of every topic."""
    node: Name | None = None
    """This node's word in topics and entities; none: made of the host's name."""
    discovery: bool = True
    """Announce cameras and watches to Home Assistant."""
    discovery_prefix: str = Field(default="homeassistant", pattern=_TOPIC)
    """Where Home Assistant looks for announcements."""
    doubtful: bool = False
    """Publish readings that are `doubtful` too, as an engine alone gives them."""

    @model_validator(mode="after")
    def _login_is_whole(self) -> Self:
        if self.password is not None and self.password_file is not None:
            raise ValueError("expected password or password_file, found both")
        if self.username is None and (self.password or self.password_file):
            raise ValueError("expected a username with the password")
        if self.tls_ca is not None and not self.tls:
            raise ValueError("expected tls: true with tls_ca")
        return self


class PrometheusSettings(Section):
    """Metrics for a Prometheus that scrapes them."""

    host: str = Field(default="127.0.0.1", min_length=1)
    """Where it listens; beyond this machine it needs token_file."""
    port: int = Field(default=9464, ge=0, le=65535)
    """Its port; 0: any free one."""
    token_file: Path | None = None
    """File with the token that a scraper must send: Authorization: Bearer TOKEN."""

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.token_file is None and not _is_loopback(self.host):
            raise ValueError(f"expected a token_file where host is {self.host}: others reach it")
        return self


class SinksSettings(Section):
    """The ways out that `molmo-node up` starts, each in a process of its own."""

    console: ConsoleSettings | None = None
    """Lines on stdout."""
    jsonl: FileSettings | None = None
    """Whole answers, a JSON object a line."""
    csv: FileSettings | None = None
    """A table row an answer."""
    mqtt: MqttSettings | None = None
    """A broker, and Home Assistant behind it."""
    prometheus: PrometheusSettings | None = None
    """Metrics without the page."""

    @field_validator("*", mode="before")
    @classmethod
    def _on_if_named(cls, value: object) -> object:
        # `csv:` with nothing behind it means: with its defaults.
        return {} if value is None else value

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that are configured."""
        return tuple(kind for kind in type(self).model_fields if getattr(self, kind) is not None)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
