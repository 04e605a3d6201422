"""The live page: see what the cameras see, ask, watch, calibrate; and its HTTP interface."""
