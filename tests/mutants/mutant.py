"""A mutant: one rule of habus broken on purpose, and the tests that must notice it."""

from collections.abc import Iterator
from pathlib import Path

import msgspec


class Mutant(msgspec.Struct, frozen=True):
    """One way to break the code.

    Attributes:
        name: What is broken, in words.
        file: Path from the root.
        old: Text that stands in the file exactly once.
        new: What takes its place.
        tests: `path::test_function`; at least one of them must turn red.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def broken(self, text: str) -> str:
        """Return the file's text with the rule broken.

        Raises:
            ValueError: When the old text does not stand there exactly once.
        """
        count = text.count(self.old)
        if count != 1:
            raise ValueError(
                f"mutant {self.name!r}: its old text stands {count} times in {self.file}; "
                "write it anew, so that it breaks the same rule in the code as it is now"
            )
        return text.replace(self.old, self.new)

    def faults(self, house: Path) -> Iterator[str]:
        """What keeps this mutant from being tried on this tree."""
        path = house / self.file
        if not path.exists():
            yield f"mutant {self.name!r}: there is no {self.file}"
            return
        try:
            text = self.broken(path.read_text("utf-8"))
            if path.suffix == ".py":
                compile(text, self.file, "exec")
        except (ValueError, SyntaxError) as error:
            yield str(error)
        if not self.tests:
            yield f"mutant {self.name!r}: no test is named"
        for test in self.tests:
            file, _, function = test.partition("::")
            path = house / file
            if not path.exists() or f"def {function}(" not in path.read_text("utf-8"):
                yield f"mutant {self.name!r}: there is no test {test}"
