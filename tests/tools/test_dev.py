"""`./dev` where there is Python and nothing else, and no network: the wheels are fakes."""

import os
import signal
import subprocess
import sys

import pytest

from tests.processes import processes_below, wait_until
from tests.tools.checkout import BASE_PYTHON, DEV, Checkout


def fake_python(checkout: Checkout, script: str, name: str = "python3") -> None:
    path = checkout.path / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_it_is_valid_for_a_plain_shell() -> None:
    subprocess.run(["/bin/sh", "-n", DEV], check=True)


@pytest.mark.parametrize("words", [(), ("help",), ("--help",)])
def test_help_needs_nothing(checkout: Checkout, words: tuple[str, ...]) -> None:
    (checkout.path / "python3").unlink()
    code, out, errors = checkout.run(*words)
    assert (code, errors) == (0, "")
    for command in ("serve", "cli", "migrate", "test", "lint", "changelog", "lock"):
        assert f"\n  {command} " in out


def test_an_unknown_command_is_a_usage_error(checkout: Checkout) -> None:
    code, out, errors = checkout.run("sevre")
    assert (code, out) == (2, "")
    assert errors.startswith("usage: ./dev")


def test_a_missing_python_is_two_lines(checkout: Checkout) -> None:
    (checkout.path / "python3").unlink()
    code, _, errors = checkout.run("serve")
    assert code == 1
    assert errors.startswith("dev: Python 3.11 or newer is needed")
    assert errors.count("\n") == 2


def test_a_python_that_is_too_old_is_passed_over(checkout: Checkout) -> None:
    fake_python(checkout, "exit 1")
    assert "Python 3.11 or newer is needed" in checkout.run("serve")[2]
    (checkout.path / "python3.11").symlink_to(BASE_PYTHON)
    assert checkout.run("serve")[0] == 0


def test_a_python_without_pip_is_enough(checkout: Checkout) -> None:
    fake_python(checkout, f'case "$*" in *ensurepip*) exit 1;; esac\nexec {BASE_PYTHON} "$@"')
    assert checkout.run("serve")[0] == 0
    assert not list(checkout.root.glob(".venv/lib/*/site-packages/pip"))


def test_it_installs_once_and_again_when_something_changed(checkout: Checkout) -> None:
    root = checkout.root
    code, out, errors = checkout.run("serve", "--port", "1")
    assert (code, out) == (0, f"['serve', '--port', '1'] {root}/.orchestrator\n")
    *lines, last = errors.splitlines()
    assert lines == [
        "dev: Making .venv with Python {}.{} (once) ...".format(*sys.version_info),
        "dev: Fetching uv 1.0, the installer ...",
        f"dev: Installing 2 packages from {checkout.wheels} ...",
    ]
    assert last.startswith("dev: Installed in ")
    (asked,) = checkout.asked()
    assert asked.endswith(" --require-hashes --requirements=requirements.lock")

    # The second time, also through a link and without a network, nothing is installed.
    checkout.wheels.rename(checkout.wheels.with_name("gone"))
    link = checkout.path / "link"
    link.symlink_to(root / "dev")
    assert checkout.run("cli", "tag", "a b", program=link)[1].startswith("['tag', 'a b'] ")
    assert checkout.run("migrate")[::2] == (0, "")
    assert checkout.asked() == [asked]
    checkout.wheels.with_name("gone").rename(checkout.wheels)

    # A changed lock is installed into the environment that is there.
    checkout.lock((root / "requirements.lock").read_text() + "more==1.0\n")
    assert checkout.run("serve")[2].startswith("dev: Installing 3 packages")
    assert len(checkout.asked()) == 2

    # A folder that was moved is made again.
    checkout.root = root.rename(root.with_name("moved"))
    code, out, errors = checkout.run("serve")
    assert (code, out) == (0, f"['serve'] {checkout.root}/.orchestrator\n")
    assert errors.startswith("dev: Making .venv")


def test_a_failed_installation_says_what_to_do_and_is_made_again(checkout: Checkout) -> None:
    (checkout.root / "broken").touch()
    code, _, errors = checkout.run("serve")
    assert code == 1
    assert "no such host" in errors
    used = f"{checkout.wheels} (pip's no-index and find-links)"
    assert errors.splitlines()[-3:] == [
        "dev: The installation failed: see above.",
        f"dev: It used {used} and the certificates that the system trusts.",
        "dev: Mend what is wrong there, or make room, then run the same command again.",
    ]
    (checkout.root / "broken").unlink()
    assert checkout.run("serve")[0] == 0


def test_a_killed_installation_is_made_again(checkout: Checkout) -> None:
    (checkout.root / "hang").touch()
    process = checkout.start("serve")
    assert wait_until(checkout.asked, 30)
    for pid in processes_below(process.pid):
        os.kill(pid, signal.SIGKILL)
    process.communicate()
    (checkout.root / "hang").unlink()
    code, _, errors = checkout.run("serve")
    assert code == 0
    assert errors.startswith("dev: Making .venv")


def test_two_at_the_same_time_install_once(checkout: Checkout) -> None:
    both = [checkout.start("serve"), checkout.start("serve")]
    said = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted("Installed" in errors for _, errors in said) == [False, True]
    assert len(checkout.asked()) == 1


def test_tests_need_more_than_serving_does(checkout: Checkout) -> None:
    assert "Installing 2 packages" in checkout.run("serve")[2]
    assert "Installing 3 packages" in checkout.run("test", "--version")[2]
    assert checkout.asked()[1].endswith("=requirements.lock --requirements=requirements-dev.lock")
    # Serving does not wait for what only tests need, and tests notice what serving replaced.
    checkout.lock((checkout.root / "requirements-dev.lock").read_text() + "more==1.0\n")
    checkout.lock("zipp==1.0\nattrs==1.0\nmore==1.0\n")
    assert "Installing 3 packages" in checkout.run("serve")[2]
    assert checkout.run("serve")[2] == ""


def test_an_interrupted_installation_is_one_line(checkout: Checkout) -> None:
    (checkout.root / "hang").touch()
    process = checkout.start("serve", new_group=True)
    assert wait_until(checkout.asked, 30)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors.splitlines()[3:] == ["dev: Interrupted."]
