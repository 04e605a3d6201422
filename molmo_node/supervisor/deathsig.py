"""Runs a program that ends when its parent ends, however the parent ends.

``python -I -S deathsig.py PARENT_PID PROGRAM ARGUMENT…`` asks the kernel for SIGKILL at the
parent's death and becomes the program. It runs by itself, before the program does, because a
function between fork and exec (subprocess' `preexec_fn`) can deadlock in a process that has
threads; and it needs nothing but the standard library, so that it costs few milliseconds.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_NOT_STARTED = 127


def main() -> None:
    """Tie this process to its parent, then become the program."""
    parent_pid, argv = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it died before we asked: nobody will tell us any more
        sys.exit(_NOT_STARTED)
    try:
        os.execvp(argv[0], argv)  # noqa: S606
    except OSError as exc:
        sys.stderr.write(f"{argv[0]}: cannot be started ({exc.strerror})\n")
        sys.exit(_NOT_STARTED)


if __name__ == "__main__":
    main()
