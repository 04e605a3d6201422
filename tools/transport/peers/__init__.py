"""One transport a file, each with a publisher and a subscriber of the same shape."""
