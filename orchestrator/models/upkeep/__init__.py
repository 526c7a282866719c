"""Words of the upkeep of the store."""
