"""Rules of the upkeep of the store."""
