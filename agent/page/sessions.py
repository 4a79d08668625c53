"""Sessions of the page: one per pair of profile and method, opened once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

from agent import doctor
from agent.methods import methods
from agent.models.gguf import is_gguf
from agent.session import Session
from agent.settings import ENGINES, ChatSettings, profiles
from tools.errors import InputError, ReelgraphError

OpenSession = Callable[[str | None, Mapping[str, Any]], Session]


@dataclass(frozen=True, slots=True)
class Choice:
    """An entry of a dropdown: its value, its label, and what is missing for it."""

    name: str
    label: str
    missing: str = ""


class Sessions:
    """Opens sessions on first use; those of one profile share library and loaded models.

    Attributes:
        given: Profile that was named at the start; None for the default one.
        overrides: Settings that hold for every profile and method.
    """

    def __init__(
        self,
        profile: str | None = None,
        settings: Mapping[str, Any] | None = None,
        open_session: OpenSession = Session,
    ) -> None:
        """Open the first session.

        Args:
            profile: As for `Session`.
            settings: As for `Session`; they hold for every profile and method.
            open_session: Factory of sessions.

        Raises:
            InputError: Unknown profile, key, value or method.
            StorageError: The library's folder cannot be used.
        """
        self.given, self.overrides = profile, dict(settings or {})
        self._open = open_session
        self._lock = Lock()
        self.first = open_session(profile, self.overrides)
        self._by_profile = {self.first.settings.profile: self.first}
        self._open_sessions: dict[str, Session] = {}

    @property
    def profile(self) -> str:
        """Name of the profile with which the page was started."""
        return self.first.settings.profile

    @property
    def method(self) -> str:
        """Name of the method with which the page was started."""
        return self.first.settings.method

    def get(self, profile: str = "", method: str = "") -> Session:
        """Return the session for a profile and a method; empty names mean those of the start.

        Only shipped profiles and the one of the start are accepted: a remote user must not make
        this machine read other files or call other servers.

        Raises:
            InputError: There is no such profile or method.
        """
        profile, method = profile or self.profile, method or self.method
        if profile not in self._profiles:
            known = ", ".join(self._profiles)
            raise InputError(f"a page takes profiles by name and has no {profile!r}; take {known}")
        with self._lock:
            base = self._by_profile.get(profile)
            if base is None:
                base = self._by_profile[profile] = self._open(profile, self.overrides)
            if method == base.settings.method:
                return base
            key = f"{profile} {method}"
            if key not in self._open_sessions:
                self._open_sessions[key] = base.with_method(method)
            return self._open_sessions[key]

    def for_library(self, folder: Path) -> "Sessions":
        """Return sessions with another library that share the loaded models of these."""

        def opened(profile: str | None, settings: Mapping[str, Any]) -> Session:
            session = self._open(profile, settings)
            pool = self.get(session.settings.profile).context.pool
            session.context = replace(session.context, pool=pool)
            return session

        overrides = {**self.overrides, "library": str(folder)}
        return Sessions(self.given, overrides, opened)

    def profile_choices(self) -> list[Choice]:
        """Return every profile with what it lacks on this machine; loads nothing."""
        return [self._profile_choice(name) for name in self._profiles]

    @property
    def _profiles(self) -> list[str]:
        return list(dict.fromkeys([self.profile, *profiles()]))

    def _profile_choice(self, name: str) -> Choice:
        try:
            settings = self.get(name).settings
            lacks = [c for c in doctor.checks(settings) if not c.ok and c.name != "library"]
        except ReelgraphError as error:
            return Choice(name, f"{name} (cannot be used)", str(error))
        if not lacks:
            return Choice(name, name)
        missing = "; ".join(f"{c.name}: {c.detail}. {c.remedy}" for c in lacks)
        return Choice(name, f"{name} (something is missing)", missing)

    def method_choices(self, profile: str = "") -> list[Choice]:
        """Return every method with what the profile's chat model lacks for it; loads nothing."""
        chat = self.get(profile).settings.chat
        choices = [Choice("auto", "auto: what suits model and video")]
        for name, method in methods().items():
            lacks = [need for need in sorted(method.needs) if not _may_have(chat, need)]
            missing = f"{chat.model} has no {' and no '.join(lacks)}" if lacks else ""
            label = f"{name} ({missing})" if missing else name
            choices.append(Choice(name, label, missing))
        return choices


def _may_have(chat: ChatSettings, need: str) -> bool:
    """Say whether a model may have a capability, as far as known without loading it."""
    if chat.engine == "endpoint":
        return {"images": chat.images, "tool calls": chat.tool_calling}.get(need, False)
    if chat.engine not in ENGINES:
        return True  # a plug-in says so when it is asked
    if need == "tool calls":
        return False
    return not is_gguf(chat.model)
