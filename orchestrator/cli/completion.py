"""`orchestrator completion`: the script that a shell loads; `completers` answers what it asks."""

from typing import Literal

from cyclopts import App

from orchestrator.cli.output import write_bytes

app = App(
    name="completion",
    help_epilogue="Examples:\n\n"
    "  orchestrator completion bash > ~/.local/share/bash-completion/completions/orchestrator\n"
    "  orchestrator completion zsh > ~/.zsh/completions/_orchestrator\n"
    "  orchestrator completion fish > ~/.config/fish/completions/orchestrator.fish",
)


#: The script only defines this function: a file that zsh loads by itself has to call it, too.
_ZSH = """
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _cyclopts_orchestrator "$@"
else
  compdef _cyclopts_orchestrator orchestrator
fi
"""


@app.default
def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print the script that completes commands and options, and names that the server knows."""
    from orchestrator.cli.main import app as root

    script = root.generate_completion(shell=shell)
    write_bytes(f"{script}{_ZSH if shell == 'zsh' else ''}".encode())
