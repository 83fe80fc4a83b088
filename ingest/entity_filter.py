"""Which entities are captured: include and exclude, as Home Assistant itself decides."""

import re
from collections.abc import Iterable
from fnmatch import translate
from functools import lru_cache

import msgspec

REMEMBERED = 65_536
"""Entities whose decision is remembered."""


class Rules(msgspec.Struct, frozen=True):
    """What one side of the filter names, in lower case.

    Attributes:
        domains: `sensor`, `light`…
        entities: Whole entity ids.
        entity_globs: Entity ids with `*`, `?`, `[a-z]` and `[!a-z]`.
    """

    domains: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    entity_globs: tuple[str, ...] = ()


class EntityFilter:
    """Whether an entity is captured; each decision is made once and remembered.

    - An entity that is included by name passes, even where it is excluded by name too; else one
      that is excluded by name does not.
    - With domains or globs included: what matches an included glob passes; else not what
      matches an excluded glob; else what is in an included domain; nothing else. Excluded
      domains then mean nothing.
    - Else with domains or globs excluded: all but these pass.
    - Else nothing but the entities included by name or, where none is, everything.

    An event without an entity always passes.

    Args:
        include: What passes.
        exclude: What does not.
    """

    def __init__(self, include: Rules | None = None, exclude: Rules | None = None) -> None:
        include, exclude = include or Rules(), exclude or Rules()
        self._included, self._excluded = set(include.entities), set(exclude.entities)
        self._included_domains, self._excluded_domains = set(include.domains), set(exclude.domains)
        self._included_glob = _any_of(include.entity_globs)
        self._excluded_glob = _any_of(exclude.entity_globs)
        self._is_including = bool(include.domains or include.entity_globs)
        self._is_excluding = bool(exclude.domains or exclude.entity_globs)
        self.passes = lru_cache(REMEMBERED)(self._decide)
        """Whether events of this entity id are captured."""

    def _decide(self, entity_id: str) -> bool:
        if not entity_id or entity_id in self._included:
            return True
        if entity_id in self._excluded:
            return False
        domain = entity_id.partition(".")[0]
        is_glob_excluded = self._excluded_glob.match(entity_id) is not None
        if self._is_including:
            if self._included_glob.match(entity_id):
                return True
            return domain in self._included_domains and not is_glob_excluded
        if self._is_excluding:
            return domain not in self._excluded_domains and not is_glob_excluded
        return not self._included


def _any_of(globs: Iterable[str]) -> re.Pattern[str]:
    """Compile globs into one pattern; of none it is a pattern that matches nothing."""
    return re.compile("|".join(translate(glob) for glob in globs) or r"(?!)")
