"""The node live in Foxglove's app: pictures, overlays, readings, states, and questions."""
