"""A process that writes frames into a ring as fast as it can, until its stdin is closed.

Prints the ring's name; every frame's bytes are its number.
"""

from __future__ import annotations

import select
import sys

import numpy as np

from molmo_node.bus.ring import RingWriter

FRAME_BYTES = 300_000


def main() -> None:
    """Write until nobody listens any more."""
    ring = RingWriter("writer", FRAME_BYTES, slots=3, checksum=True)
    body = np.empty(FRAME_BYTES, np.uint8)
    print(ring.name, flush=True)
    number = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        number += 1
        body.fill(number % 251)
        ring.write(number, str(number).encode(), body)
    ring.close()


if __name__ == "__main__":
    main()
