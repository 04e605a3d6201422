"""A supervisor as a process of its own: ``program.py '[["name", ["argv", …]], …]'``.

Writes each event as one line of JSON on stdout; the last line is what `run` returned.
"""

import json
import sys

import msgspec

from molmo_node.supervisor import ProcessEvent, ProcessSpec, Supervisor


def tell(event: ProcessEvent) -> None:
    print(msgspec.json.encode(event).decode(), flush=True)


specs = [
    ProcessSpec(name=name, argv=tuple(argv), needs=tuple(needs))
    for name, argv, needs in json.loads(sys.argv[1])
]
supervisor = Supervisor(specs, tell)
code = supervisor.run()
print(json.dumps({"code": code, "signal": supervisor.stop_signal}), flush=True)
sys.exit(code)
