"""Engines that answer questions about a picture."""
