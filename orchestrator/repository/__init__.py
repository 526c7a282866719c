"""SQL: one statement per method, no decisions."""
