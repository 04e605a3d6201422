"""From pixels of a dial to a reading with a unit."""
