"""Routes of the upkeep of the store."""
