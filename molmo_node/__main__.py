"""`python -m molmo_node` is `molmo-node`."""

import signal


def start() -> None:
    """Import the program and run it; Ctrl-C during the import ends it without a trace."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from molmo_node.cli.main import main

    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()


if __name__ == "__main__":
    start()
