"""What tests ask a cluster."""

import asyncio
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg


def query(url: str, *statements: str) -> object:
    """The single value of the last statement."""

    async def run() -> object:
        conn = await asyncpg.connect(url)
        try:
            found: object = None
            for statement in statements:
                found = await conn.fetchval(statement)
            return found
        finally:
            await conn.close()

    return asyncio.run(run())


def postmaster(folder: Path) -> int:
    return int((folder / "data/postmaster.pid").read_text().split()[0])


def socket_folder(url: str) -> Path:
    return Path(parse_qs(urlsplit(url).query)["host"][0])
