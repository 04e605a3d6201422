"""The command line: thin verbs onto the rooms."""
