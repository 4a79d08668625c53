"""A GGUF model in this process: llama.cpp's server, on a port of this machine with its own key.

Its prompt cache keeps what it has read: a prompt that begins like an earlier one pays only for the
rest.
"""

import os
import re
import secrets
from pathlib import Path
from threading import RLock
from typing import Any

from agent.models.kept_prompt import KeptPrompt
from tools.errors import MissingError

INSTALL = "pip install xllamacpp"
CACHE_MB = 512  # of prompts read earlier; a token of a model of 1.5 billion weights takes 28 kB
CONTROL = re.compile(r"<[^<>\s]+>|\[/?[A-Z_]+\]")  # the form of control tokens: <|im_end|>, [INST]
# Its threads wait for one another without spinning: that costs nothing on idle cores and halves a
# reply's time on busy ones. Read when its OpenMP is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
QUIET = 0  # llama.cpp's own log: errors only


class LlamaServer:
    """A running llama.cpp with one model; it ends with the object.

    Attributes:
        url: Where it listens, without a path.
        key: What a request must bear.
        context_tokens: Tokens of prompt and reply together.
        turn: Held by a thread whose next prompts begin like its last one.
    """

    def __init__(
        self, name: str, file: Path, context_tokens: int, kept: Path | None = None
    ) -> None:
        """Load a GGUF file, and what an earlier program has read with it.

        Args:
            name: Of the model, for its requests.
            file: The GGUF file.
            context_tokens: Tokens of prompt and reply together.
            kept: Folder where `keep` stores the latest prompt; None stores none.

        Raises:
            MissingError: The file or llama.cpp cannot be loaded.
        """
        try:
            import xllamacpp
        except ImportError as error:
            raise MissingError(f"llama.cpp is not installed: {INSTALL}") from error
        self.turn = RLock()
        self.key = secrets.token_urlsafe()
        self._kept = None if kept is None else KeptPrompt(kept, file, xllamacpp.__version__)
        self.context_tokens = context_tokens
        try:
            self._server = xllamacpp.Server(self._parameters(xllamacpp, name, file))
        except RuntimeError as error:
            raise MissingError(
                f"llama.cpp cannot load {file.name}; is it a whole GGUF file of a language model, "
                f"and is there memory for {file.stat().st_size / 1e9:.1f} GB?"
            ) from error
        self.url: str = self._server.listening_address
        self._client = self._make_client()
        if self._kept:
            self._kept.restore(self._client)

    def keep(self) -> None:
        """Store what the server has read and written last, for the next program."""
        if self._kept:
            self._kept.save(self._client)

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of a plain text."""
        return len(self.tokens(text))

    def tokens(self, text: str, control: bool = False) -> list[int]:
        """Return the tokens of a text; `control` reads the model's control tokens in it."""
        asked = {"content": text, "add_special": False, "parse_special": control}
        tokens: list[int] = self._post("/tokenize", asked)["tokens"]
        return tokens

    def as_text(self, text: str) -> str:
        """Return a text with its control tokens broken by a space: llama.cpp would obey them."""
        if self.tokens(text, control=True) == self.tokens(text):
            return text
        return CONTROL.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)

    def prompt(self, messages: list[dict[str, str]]) -> list[int]:
        """Return the tokens of a conversation in the model's chat template."""
        text = self._post("/apply-template", {"messages": messages})["prompt"]
        return self.tokens(text, control=True)

    def next_logprobs(self, prompt: list[int], most: int) -> dict[int, float]:
        """Return the log-likelihoods of the likeliest tokens after a prompt, by token."""
        asked = {"prompt": prompt, "n_predict": 1, "n_probs": most, "temperature": 0.0}
        (step,) = self._post("/completion", asked)["completion_probabilities"]
        return {each["id"]: each["logprob"] for each in step["top_logprobs"]}

    def _parameters(self, xllamacpp: Any, name: str, file: Path) -> Any:
        made = xllamacpp.CommonParams()
        made.model.path = str(file)
        made.model_alias = {name}
        made.n_ctx = self.context_tokens
        made.n_parallel = 1
        made.cpuparams.n_threads = made.cpuparams_batch.n_threads = cores()
        made.cache_ram_mib = CACHE_MB
        made.api_keys = [self.key]
        made.cors_origins = "null"
        made.ui = made.endpoint_slots = False
        made.verbosity = QUIET
        if self._kept:
            made.slot_save_path = self._kept.prepared_folder()
        return made

    def _make_client(self) -> Any:
        import httpx2

        bearer = {"Authorization": f"Bearer {self.key}"}
        return httpx2.Client(base_url=self.url, headers=bearer, trust_env=False, timeout=None)

    def _post(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        reply = self._client.post(path, json=asked)
        reply.raise_for_status()
        answer: dict[str, Any] = reply.json()
        return answer


def cores() -> int:
    """Return how many physical cores this process may use: a second thread on one slows it."""
    import psutil

    allowed = len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else 0
    return min(psutil.cpu_count(logical=False) or 1, allowed or os.cpu_count() or 1)
