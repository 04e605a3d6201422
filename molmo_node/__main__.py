"""`python -m molmo_node` is `molmo-node`."""

from molmo_node.cli.main import main

if __name__ == "__main__":
    main()
