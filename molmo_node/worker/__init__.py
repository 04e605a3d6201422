"""The query queue, deadlines, watches and the engine thread."""
