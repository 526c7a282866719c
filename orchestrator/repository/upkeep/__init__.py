"""SQL for the upkeep of the store."""
