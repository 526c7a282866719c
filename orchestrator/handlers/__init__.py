"""HTTP: reads requests, opens transactions, answers; no rules and no SQL."""
