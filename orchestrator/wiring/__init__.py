"""The object graph, built bottom-up; nothing is decided here."""
