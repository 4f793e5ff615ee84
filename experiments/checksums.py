"""Files and their SHA-256, noted in a file that ``sha256sum --check`` reads too."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from glorot_jax.files import write_text

_LENGTH = hashlib.sha256().digest_size * 2


def note(path: Path, files: Iterable[Path], *, root: Path) -> None:
    """Writes to ``path`` what is in ``files`` now; their names are relative to ``root``."""
    lines = (f"{sha256(file)}  {file.relative_to(root).as_posix()}\n" for file in sorted(files))
    write_text(path, "".join(lines))


def noted(path: Path) -> dict[str, str]:
    """Name -> SHA-256, as ``note`` wrote them; none where the file is gone or makes no sense."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return {}
    return {line[_LENGTH + 2 :]: line[:_LENGTH] for line in lines}


def unchanged(path: Path, *, root: Path) -> bool:
    """Whether all that ``note`` wrote to ``path`` is so still; False where it wrote nothing."""
    known = noted(path)
    return bool(known) and all(
        (root / name).is_file() and sha256(root / name) == sum for name, sum in known.items()
    )


def sha256(path: Path) -> str:
    """Of all that is in the file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
