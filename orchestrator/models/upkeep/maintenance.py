"""Vocabulary of maintenance: what keeps those that delete and those that copy apart; no I/O."""

#: The advisory lock ("orcg"). Whoever deletes bytes shares it for a page; whoever needs all of
#: them to stay, as a backup does, has it alone.
MAINTENANCE_LOCK = 0x6F72_6367

#: The advisory lock ("orcs") of the one server that collects garbage by its schedule now.
SCHEDULE_LOCK = 0x6F72_6373
