"""A time of the database's clock, as it is described: RFC 3339 with an offset."""

from datetime import datetime
from typing import Annotated

import msgspec

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
