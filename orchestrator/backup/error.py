"""Why a backup or a restore refuses or gives up: one line for the person at the console."""


class BackupRefused(Exception):
    """It cannot be done here and now; the sentence says what to change."""
