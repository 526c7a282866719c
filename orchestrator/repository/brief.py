"""How long a statement waits for locks when it is shared by requests of many callers."""

#: In the FROM of such a statement, before what may have to wait: it fails after so long, instead of
#: holding up all for what one of them needs. The setting ends with the transaction.
BRIEF_WAIT = "set_config('lock_timeout', '50ms', true)"
