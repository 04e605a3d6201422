"""The parts of circus that we use, fitted to our promises.

Circus' `Watcher` starts, stops and kills one program, its `Process` is that program, its
`Redirector` reads the output. Its `Arbiter` is left out, and `Supervisor` stands in its place,
because the arbiter (circus 0.19):

- looks up this host's full name as it is made, which takes many seconds without a name server;
- takes SIGHUP and SIGQUIT as commands, and can be made in the main thread only;
- listens for commands, among them one that adds a program to run;
- waits for *any* child of the process, and so takes exit codes from other code's children;
- drops a child that dies between its two looks without saying so, and stops all at once.

Fixed here: a `preexec_fn` in a process with threads (`spawn`), the last output of a child that
is lost when its pipe is closed at its death (`close_output_channels`), an endless wait for a child
that sleeps in a driver (`reap_process`), and the variables of a child that change our own import
path (`make_watcher`).
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from molmo_node.supervisor import deathsig
from molmo_node.supervisor.output import Output

# Importing circus sets up the root logger.
_handlers = logging.getLogger().handlers[:]
from circus.process import Process  # noqa: E402
from circus.stream import Redirector  # noqa: E402
from circus.watcher import Watcher  # noqa: E402

logging.getLogger().handlers[:] = _handlers
# What it logs at INFO, our events say too.
logging.getLogger("circus").setLevel(logging.WARNING)

_READ_BYTES = 65536
_REAP_WITHIN_S = 0.5

log = logging.getLogger(__name__)


class ChildProcess(Process):  # type: ignore[misc]  # circus has no types
    """A program in a session of its own that dies with us."""

    def spawn(self) -> None:
        self.started = time.time()
        self._worker = psutil.Popen(
            [sys.executable, "-I", "-S", deathsig.__file__, str(os.getpid()), *self.args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.working_dir,
            env=self.env,
            start_new_session=True,
        )

    def close_output_channels(self) -> None:
        """Read what is still in the pipes before they are closed."""
        redirector = self.watcher.stream_redirector
        if redirector is not None:
            redirector.remove_redirections(self)
        for name, pipe in (("stdout", self.stdout), ("stderr", self.stderr)):
            if not pipe.closed:
                self._drain(name, pipe.fileno())
        super().close_output_channels()

    def _drain(self, name: str, descriptor: int) -> None:
        os.set_blocking(descriptor, False)  # a grandchild may hold the other end
        with contextlib.suppress(BlockingIOError):
            while raw := os.read(descriptor, _READ_BYTES):
                self.watcher.stdout_stream({"name": name, "data": raw, "pid": self.pid})


class ChildWatcher(Watcher):  # type: ignore[misc]  # circus has no types
    """Circus' keeper of one program, with our process and larger reads."""

    @property
    def _process_class(self) -> type[ChildProcess]:
        return ChildProcess

    @property
    def _redirector_class(self) -> Any:
        return partial(Redirector, buffer=_READ_BYTES)

    def reap_process(self, pid: int, status: int | None = None) -> None:
        """Take the exit code of a process that ended or was killed.

        Circus waits here for ever, and the loop with it, for one that even SIGKILL cannot end:
        one that sleeps inside a driver.
        """
        process = self.processes.get(pid)
        try:
            if process is not None:
                process.wait(_REAP_WITHIN_S)
        except psutil.TimeoutExpired:
            del self.processes[pid]
            process.close_output_channels()
            log.error("process cannot be killed", extra={"child": self.name, "pid": pid})
        else:
            super().reap_process(pid)


def make_watcher(
    name: str,
    argv: Sequence[str],
    env: Mapping[str, str],
    output: Output,
    note_exit: Callable[..., None],
) -> ChildWatcher:
    """A watcher of one program that starts and stops it when told, and never by itself.

    Args:
        note_exit: called with ``exit_code=`` (minus the number of a signal) at each end.
    """
    watcher = ChildWatcher(
        name=name,
        cmd="",
        args=list(argv),
        working_dir=str(Path.cwd()),
        stdout_stream={"stream": output},
        stderr_stream={"stream": output},
        respawn=False,
        max_retry=1,
        hooks={"after_reap": (note_exit, False)},
    )
    # Given to the constructor, it would run the .pth files of a PYTHONPATH in *our* process.
    watcher.env = dict(env)
    return watcher
