"""What the values of settings may be. A ValueError names the setting and the rule, never the value:
that may be, or may have been meant to be, a secret.
"""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

COUNT_MAX = 10**15
SECONDS_MAX = 10**9
#: Longer the providers of buckets sign no address.
REDIRECT_SECONDS_MAX = 7 * 86_400
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
BUCKET_SCHEMES = frozenset({"s3", "s3a", "gs", "az", "azure", "abfs", "abfss"})
#: `abfs://container@account.dfs.core.windows.net/prefix`
_SCHEMES_WITH_ACCOUNT = frozenset({"abfs", "abfss"})
_TLS_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
#: Parameters of a database URL of which the driver takes only these values.
_DATABASE_CHOICES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "ssl_min_protocol_version": _TLS_VERSIONS,
    "ssl_max_protocol_version": _TLS_VERSIONS,
    "target_session_attrs": (
        *("any", "primary", "standby", "prefer-standby", "read-write", "read-only"),
    ),
    "gsslib": ("gssapi", "sspi"),
}
_HOST = r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_ORIGIN = re.compile(rf"[A-Za-z][A-Za-z0-9+.-]*://{_HOST}")
_MEDIA_TYPE = re.compile(r"\*|[\w!#$&^.+*-]+/[\w!#$&^.+*-]+", re.ASCII)
_TOKEN_DIGEST = re.compile(r"[0-9a-fA-F]{64}|")


def check_text(name: str, value: str) -> None:
    """The environment may have any bytes."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} is text in UTF-8") from None


def check_number(name: str, value: float) -> None:
    """No number of a setting is negative, or so large that others cannot hold it."""
    largest = COUNT_MAX if isinstance(value, int) else SECONDS_MAX
    if not 0 <= value <= largest:  # Nor is it "not a number", which is nowhere in between.
        raise ValueError(f"{name} is a number from 0 to {largest}")


def check_redirect_seconds(seconds: int) -> None:
    """How long a signed address is valid."""
    if not 1 <= seconds <= REDIRECT_SECONDS_MAX:
        raise ValueError(f"blob_redirect_seconds is from 1 to {REDIRECT_SECONDS_MAX}")


def check_log_level(level: str) -> None:
    """In any case of letters."""
    if level.lower() not in LOG_LEVELS:
        raise ValueError(f"log_level is one of {', '.join(LOG_LEVELS)}")


def check_token_digest(digest: str) -> None:
    """Empty: no token is valid."""
    if not _TOKEN_DIGEST.fullmatch(digest):
        raise ValueError("admin_token_sha256 is 64 hexadecimal digits")


def check_hosts(hosts: Iterable[str]) -> None:
    """What a Host may be compared with."""
    if not all(re.fullmatch(_HOST, host) for host in hosts):
        raise ValueError("allowed_hosts are names or addresses, each perhaps with a port")


def check_origins(origins: Iterable[str]) -> None:
    """What an Origin may be compared with: it never has a path, not even a slash."""
    if not all(_ORIGIN.fullmatch(origin) for origin in origins):
        raise ValueError(
            "allowed_origins are https://name or the like, each perhaps with a port and nothing "
            "after it"
        )


def check_media_types(types: Iterable[str]) -> None:
    """Patterns with stars."""
    if not all(_MEDIA_TYPE.fullmatch(each) for each in types):
        raise ValueError("blob_compressed_media_types are type/subtype, in which * is anything")


def check_blob_store(url: str) -> None:
    """Whether it can name a place; whether that place exists is not checked."""
    if not _names_a_place(url):
        raise ValueError(
            "blob_store is file:/// and an absolute path, or s3://, gs:// or az:// and a bucket, "
            "perhaps with a prefix; it has no ? or # and no port, and a key or a password belongs "
            "into the variables of the provider"
        )


def _names_a_place(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if not url.isprintable() or "?" in url or "#" in url:
        return False
    if parts.scheme == "file":
        path = unquote(parts.path)
        return not parts.netloc and path.startswith("/") and "\0" not in path
    has_key = parts.password is not None or (
        parts.username is not None and parts.scheme not in _SCHEMES_WITH_ACCOUNT
    )
    return parts.scheme in BUCKET_SCHEMES and bool(parts.hostname) and port is None and not has_key


def check_database_url(url: str) -> None:
    """Whether a driver can read the URL."""
    try:
        parts = urlsplit(url)
        given = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True))
        lists = [parts.netloc.rpartition("@")[2].split(","), given.get("host", "").split(",")]
        hosts = [host for each in lists for host in each if not host.startswith("/")]
        ports = [urlsplit(f"//{host}").port for host in hosts]
        # As the driver reads them, which looks for no end of them.
        ports += [int(port or 1) for port in given.get("port", "").split(",")]
    except ValueError:
        pass
    else:
        if parts.scheme not in {"postgresql", "postgres"}:
            raise ValueError("database_url does not begin with postgresql://")
        is_cut = bool(parts.fragment) or "#" in url or "@" in parts.path + parts.query
        is_empty = any(len(each) > 1 and "" in each for each in lists)
        if not (is_cut or is_empty or 0 in ports or "\0" in unquote(url)):
            _check_database_parameters(given)
            return
    raise ValueError(
        "database_url cannot be read: in a name or a password write / as %2F, # as %23, ? as %3F, "
        "@ as %40, [ as %5B and % as %25; a port is a number, and a parameter has a ="
    )


def _check_database_parameters(given: Mapping[str, str]) -> None:
    for name, choices in _DATABASE_CHOICES.items():
        if given.get(name, choices[0]) not in choices:
            raise ValueError(f"{name} in database_url is one of {', '.join(choices)}")
