"""`orchestrator whoami`: what the server makes of the token, and where the token is from."""

import msgspec
from cyclopts import App

from orchestrator.cli.options import WithSession
from orchestrator.cli.showing import show_data, show_members

app = App(
    name="whoami",
    help_epilogue="Examples:\n\n  orchestrator whoami\n  orchestrator whoami -o json",
)


@app.default
def whoami(*, session: WithSession) -> None:
    """Show as whom the server knows you, what you may do, and which server it is."""
    with session.connect() as server:
        found = server.get("me").json()
    members = {
        **found,
        "name": found["principal"],
        "namespace": session.namespace or found["namespace"],
        "url": server.url,
        "token_from": server.token_from,
    }
    del members["name"]
    if session.wants_data:
        show_data(session, msgspec.json.encode(members))
        return
    granted = ", ".join(f"{each['role']} of {each['namespace']}" for each in found["grants"])
    shown = {**members, "name": found["principal"], "grants": granted or "none"}
    show_members(session, shown, ("principal", "namespace", "grants", "url", "token_from"))
