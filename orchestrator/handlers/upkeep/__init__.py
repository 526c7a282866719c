"""HTTP for the upkeep of the store."""
