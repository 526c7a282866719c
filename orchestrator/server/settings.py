"""Settings of a server that is about to start: read and checked, or refused in one line."""

from collections.abc import Mapping

from orchestrator.core.threads import Threads
from orchestrator.errors import InvalidInput
from orchestrator.models.name import parse_namespace
from orchestrator.server.error import UsageError
from orchestrator.settings import PREFIX, Settings
from orchestrator.storage.open import open_storage


def checked_settings(environ: Mapping[str, str]) -> Settings:
    """Raise UsageError for a value that a part of the server would refuse later, with a traceback.

    The sentence names the setting and the rule, but never the value, which may have a secret.
    """
    try:
        settings = Settings.from_environ(environ)
        parse_namespace(settings.namespace_default, "/namespace_default")
        # Nothing is asked of the storage, and no thread is made.
        open_storage(settings.blob_store, Threads(1, name="unused"))
    except (ValueError, InvalidInput) as error:
        rule = str(error).removesuffix(".")
        raise UsageError(f"A setting in an {PREFIX}… variable is wrong: {rule}.") from None
    return settings
