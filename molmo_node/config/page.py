"""Settings of the live page."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from pydantic import Field

from molmo_node.config.fields import Section


class WebSettings(Section):
    """The live page in the browser."""

    enabled: bool = True
    """`molmo-node up` serves it, where the extra [web] is installed."""
    host: str = Field(default="127.0.0.1", min_length=1)
    """Where it listens. Beyond this machine every visitor needs the token."""
    port: int | None = Field(default=None, ge=0, le=65535)
    """Its port; none: the first free one from 8770 on; 0: any free one."""
    token_file: Path | None = None
    """File with the token; none: a token is only needed, and made, beyond this machine."""
    allowed_hosts: tuple[str, ...] = ()
    """Names under which browsers may reach it, beside this machine's own (behind a proxy)."""
    max_fps: float = Field(default=15.0, gt=0, le=60)
    """Most pictures a second that a viewer is sent."""
    keep_days: float = Field(default=30.0, gt=0, le=3650)
    """Days for which readings of watches are kept."""
    data_file: Path | None = None
    """SQLite file of readings and watches; none: in this user's state folder."""

    @property
    def is_loopback(self) -> bool:
        """Whether nothing outside this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False
