"""A PostgreSQL that runs as our child."""
