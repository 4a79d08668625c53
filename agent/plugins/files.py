"""Run a file or package as a module; light, for the process of an isolated tool imports it too."""

import hashlib
import importlib.util
import logging
import sys
from pathlib import Path
from types import ModuleType

from tools.registry import cannot_use

SOURCE = "_reelgraph_file"  # of a module and of its tools: the file that they come from
log = logging.getLogger(__name__)


def mark_of(file: Path) -> str:
    """Return the hash of a plug-in's code: its tools' findings depend on it."""
    sources = sorted(file.rglob("*.py")) if file.is_dir() else [file]
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.relative_to(file.parent).as_posix().encode() + b"\0")
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def module_name(file: Path) -> str:
    """Return the name under which a plug-in is imported; another place, another name."""
    place = hashlib.sha256(str(file).encode()).hexdigest()[:8]
    return f"reelgraph_plugin_{file.stem.replace('-', '_')}_{place}"


def import_file(file: Path, mark: str) -> ModuleType:
    """Run a file as a module. `MissingError` says in one line why it cannot be used."""
    name = module_name(file)
    package = [str(file)] if file.is_dir() else None
    source = file / "__init__.py" if package else file
    spec = importlib.util.spec_from_file_location(name, source, submodule_search_locations=package)
    if spec is None or spec.loader is None:
        raise cannot_use("plug-in", file.name, str(file), "Python cannot read it", "mend it")
    module = importlib.util.module_from_spec(spec)
    for old in [old for old in sys.modules if old == name or old.startswith(f"{name}.")]:
        del sys.modules[old]
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a plug-in may do anything when it is imported
        del sys.modules[name]
        log.debug("%s", file, exc_info=error)
        lacks = error.name if isinstance(error, ModuleNotFoundError) else None
        remedy = f"install {lacks} or mend it" if lacks else "mend it"
        why = f"{type(error).__name__}: {error}"
        raise cannot_use("plug-in", file.name, str(file), why, remedy) from error
    setattr(module, SOURCE, (str(file), mark))
    return module
