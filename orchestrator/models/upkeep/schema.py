"""The schema that this program is written for; no I/O."""

#: The newest migration. Whoever adds one changes this; a test says so.
SCHEMA_VERSION = "0008"
