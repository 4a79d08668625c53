"""The people of a shared machine: one token for all, or names with passwords from a file."""

import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tools.errors import InputError

TOKEN = "token"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")  # it names a folder


@dataclass(frozen=True, slots=True)
class Users:
    """Who may use the page.

    Attributes:
        token: The token that lets anybody in who has it; empty where people have names.
        passwords: Password by name; each person has a library of their own.
    """

    token: str = ""
    passwords: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, option: str) -> Self:
        """Read the value of `--auth`: the word `token`, or a file of lines `name:password`.

        Raises:
            InputError: The file is missing, has a bad line, or can be read by others.
        """
        if option == TOKEN:
            return cls(token=secrets.token_urlsafe(24))
        file = Path(option).expanduser()
        try:
            open_to_others = file.stat().st_mode & 0o077
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"cannot read {option}: {error}; --auth takes the word token, or a file with one "
                f"name:password a line"
            ) from error
        if open_to_others:
            raise InputError(f"others can read {option}; run chmod 600 {option}")
        return cls(passwords=_passwords(option, lines))

    def find(self, name: str, password: str) -> str | None:
        """Return the user with a name and a password, "" for the bearer of the token, or None."""
        if self.token:
            return "" if _same(password, self.token) else None
        known = self.passwords.get(name)
        return name if known is not None and _same(password, known) else None


def _passwords(option: str, lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, password = line.partition(":")
        if not _NAME.fullmatch(name) or not password or name in found:
            raise InputError(
                f"line {number} of {option} is not name:password with a name of its own (letters, "
                f"digits, dots, hyphens, at most 40)"
            )
        found[name] = password
    if not found:
        raise InputError(f"{option} names nobody; write one name:password a line")
    return found


def _same(one: str, other: str) -> bool:
    return secrets.compare_digest(one.encode(), other.encode())
