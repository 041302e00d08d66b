# SPDX-License-Identifier: Apache-2.0
"""Files that a command writes: never over another by accident."""

from pathlib import Path

import quarrow


def refuse_existing(path: Path) -> None:
    """Raise InvalidInputError for a path that is taken, be it by a link that leads nowhere."""
    if path.is_symlink() or path.exists():
        msg = f"'{path}' exists; --force replaces it"
        raise quarrow.InvalidInputError(msg)
