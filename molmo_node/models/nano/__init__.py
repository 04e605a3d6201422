"""molmo-nano: the embedded default engine."""
