"""Folders and languages that are not English: every command works in each of them."""

from pathlib import Path

import pytest

from tests.tools.checkout import Checkout

#: The last one is of no machine: a locale that was never generated.
LOCALES = ["C", "POSIX", "C.UTF-8", "xx_YY.UTF-8", "xx_YY.ISO-8859-1"]


@pytest.mark.parametrize("locale", LOCALES)
def test_a_folder_with_other_letters_works_in_every_locale(tmp_path: Path, locale: str) -> None:
    checkout = Checkout(tmp_path, "où est l'été")
    checkout.settings["LC_ALL"] = locale
    # Stands for pytest: found because the checkout's own folder is importable.
    (checkout.root / "pytest.py").write_text("print('tests', __import__('sys').argv[1:])")
    for words, expected in (
        (("serve",), "['serve'] "),
        (("cli", "tag", "list"), "['tag', 'list'] "),
        (("test", "-k", "tag"), "tests ['-k', 'tag']"),
    ):
        code, out, errors = checkout.run(*words)
        assert code == 0, errors
        assert out.startswith(expected)
