"""Make the README's table of settings anew, from the classes that read them.

Usage: python -m tests.readme_settings README.md
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

import admin.config
import enrich.config
import ingest.config
import store.config
from common.config import Settings
from common.settings_table import settings_table

ROOMS: Mapping[str, type[Settings]] = {
    "ingest": ingest.config.Settings,
    "enrich": enrich.config.Settings,
    "store": store.config.Settings,
    "admin": admin.config.Settings,
}

_TABLE = re.compile(r"(<!-- settings:[^>]*-->\n).*?(<!-- /settings -->)", re.DOTALL)


def renewed(readme: str) -> str:
    """Return the README with the table as it must be.

    Raises:
        ValueError: When the two comments around the table are not there once.
    """
    parts = _TABLE.split(readme)
    if len(parts) != 4:
        raise ValueError("the README has no one place for the table of settings")
    before, begin, end, after = parts
    return f"{before}{begin}\n{settings_table(ROOMS)}\n{end}{after}"


def main() -> int:
    """Write the file that is named."""
    path = Path(sys.argv[1])
    path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
