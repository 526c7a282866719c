"""How long a statement waits for locks when it is shared by requests of many callers."""


def brief_wait(milliseconds: int) -> str:
    """In the FROM of such a statement, before what may have to wait: it fails after so long, and
    does not hold up all for what one of them needs. The setting ends with the transaction.
    """
    return f"set_config('lock_timeout', '{milliseconds}ms', true)"


#: Where nothing can be left out of the statement, so that all of it is done again.
BRIEF_WAIT = brief_wait(50)
