"""Whom to ask: a model in a folder or on the hub, asked here, or one behind a server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from actial.endpoint.asking import Server
from actial.errors import UserError
from actial.evaluation.completions import Ask, CompletionLog, log_name
from actial.evaluation.remote import ask_server, served_log_name
from actial.machine import Machine
from actial.models.load import MODEL_TYPE
from actial.params import Model
from actial.shards import ViewStore


@dataclass(frozen=True)
class Subject:
    """A model that is asked."""

    name: str
    """What records and tables call it."""
    fingerprint: str
    """Names its content and the settings it is run with: its log of completions bears it."""
    model: Model | None
    """Settings of a model that is asked here, `base` its folder or hub id; None for one behind a server."""
    server: Server | None = None

    def ask(self, asks: Sequence[Ask], views: Sequence[Path], logs: Path, machine: Machine) -> tuple[CompletionLog, dict[str, str]]:
        """Ask what its log does not know yet.

        Args:
            views: folders of shards with the pictures.
            logs: folder of the logs.

        Returns:
            Its log, and why there is no completion, by key, of what a server did not answer.

        Raises:
            UserError: the server does not answer, or the model cannot be loaded.
        """
        path = logs / f"{self.fingerprint}.jsonl"
        log = CompletionLog(path)
        missing = log.missing(asks)
        if not missing:
            return log, {}
        if self.server is not None:
            return log, ask_server(self.server, self.name, missing, ViewStore(*views), log)
        assert self.model is not None, "a model without a server is asked here"
        from actial.evaluation.generate import Interview, hold  # torch: only where there is something to ask

        hold([Interview(self.name, self.model.base, path, missing)], self.model, machine, views)
        return CompletionLog(path), {}


def served(name: str, server: Server) -> Subject:
    """A model behind a server that knows it by this name."""
    return Subject(name, served_log_name(name), None, server)


def here(source: str, revision: str | None, settings: Model) -> Subject:
    """A model in a folder or on the hub, with the number format, attention kernel and picture sizes of `settings`.

    Args:
        revision: commit, tag or branch on the hub, looked up now; None for its main branch, or for a folder.

    Raises:
        UserError: there is no such model, or it is of another family.
    """
    if Path(source).is_dir():
        if revision is not None:
            raise UserError(f"--revision is {revision!r}, but {source} is a folder, which has none: leave it out")
        own = settings if source == settings.base else replace(settings, base="", revision=None, sha256=None)
        fingerprint = log_name(source, own)
        return Subject(source, fingerprint, replace(own, base=source))
    if source.count("/") != 1:
        raise UserError(f"--model is {source!r}, which is neither a folder nor a hub id such as Qwen/Qwen2.5-VL-7B-Instruct: correct it")
    model = replace(settings, base=source, revision=_commit(source, revision), sha256=None)
    return Subject(source, log_name(source, model), model)


def _commit(source: str, revision: str | None) -> str:
    """The commit that a revision of a hub model is now."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    where = f"{source} at {revision or 'main'}"
    aid = "give the folder of a model, or its name at a server with --endpoint"
    try:
        folder = Path(snapshot_download(source, revision=revision, allow_patterns="config.json"))
        model_type = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (LocalEntryNotFoundError, OfflineModeIsEnabled):
        raise UserError(f"{where} is no folder, nor in this machine's cache of the hub, and the hub cannot be reached: {aid}") from None
    except (HfHubHTTPError, HFValidationError, OSError, ValueError, AttributeError) as error:
        raise UserError(f"{where} cannot be fetched from the hub ({type(error).__name__}: {str(error).splitlines()[0]}): {aid}") from None
    if model_type != MODEL_TYPE:
        raise UserError(f"{where} is of type {model_type!r}; only {MODEL_TYPE!r} (Qwen2.5-VL) is asked here: serve it, as with vLLM, and give --endpoint")
    return folder.name
