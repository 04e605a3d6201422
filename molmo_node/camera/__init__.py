"""Opening a source, grabbing and stamping frames."""
