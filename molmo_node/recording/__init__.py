"""Recordings: MCAP files of frames, answers, readings and states; written, read, repaired."""
