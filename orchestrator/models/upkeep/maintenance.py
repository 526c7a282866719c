"""Vocabulary of maintenance: the locks that keep deletions and backups apart; no I/O."""

#: The advisory lock ("orcg"). A transaction that deletes bytes shares it; a backup, which needs all
#: bytes to stay, has it alone.
MAINTENANCE_LOCK = 0x6F72_6367
