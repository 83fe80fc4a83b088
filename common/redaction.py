"""What a log line must not carry: secrets, and characters that could forge another line."""

import re
from collections.abc import Iterable, Mapping

HIDDEN = "***"
"""Stands where a secret stood."""

SHORT = 8
"""Characters; a secret shorter than this is hidden only where it stands as a word."""

_SECRET_NAME = re.compile(r"authorization|(^|_)(token|password|secret|api_key)$", re.IGNORECASE)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_TEXT = r"[^\s'\"\\&,;)}]+"
_PLACES = (
    # Authorization: Bearer abc · 'authorization': 'Token abc' · ('Authorization', b'Basic abc')
    (
        r"(authorization\\*['\"]?(?:\s*[:=]|,)\s*(?:b?\\*['\"])?(?:(?:bearer|token|basic)\s+)?)"
        + _TEXT,
        rf"\1{HIDDEN}",
    ),
    # "access_token": "abc" · access_token=abc · ?token=abc · 'api_password': 'abc'
    (
        r"((?:token|password)\\*['\"]?\s*(?:=|:\s*b?\\*['\"])\s*\\*['\"]?)" + _TEXT,
        rf"\1{HIDDEN}",
    ),
    # redis://user:abc@host
    (r"((?<![a-z0-9+.-])[a-z][a-z0-9+.-]*://)[^\s/@'\"]*@", rf"\1{HIDDEN}@"),
)
_PATTERNS = [(re.compile(pattern, re.IGNORECASE), instead) for pattern, instead in _PLACES]


class Redaction:
    """Hides secrets: those it is told, and whatever stands where a secret usually stands.

    Args:
        secrets: Texts that must never be seen.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._told: re.Pattern[str] | None = None
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Hide these texts too, from now on."""
        self._secrets |= {secret for secret in secrets if secret}
        longest_first = sorted(self._secrets, key=len, reverse=True)
        self._told = re.compile("|".join(map(_pattern, longest_first))) if longest_first else None

    def text(self, text: str) -> str:
        """The text without secrets; control characters are escaped."""
        if self._told is not None:
            text = self._told.sub(HIDDEN, text)
        for pattern, instead in _PATTERNS:
            text = pattern.sub(instead, text)
        return _CONTROL.sub(_escaped, text)

    def value(self, value: object, name: str = "") -> object:
        """The same for any value; what is no plain value becomes its text.

        Args:
            value: Anything that was logged.
            name: The name it was logged under; under a secret's name nothing is shown.
        """
        if _SECRET_NAME.search(name) and value:
            return HIDDEN
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(item, str(key)) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(item) for item in value]
        silent_error = isinstance(value, BaseException) and not str(value)
        return self.text(type(value).__name__ if silent_error else str(value))


def _pattern(secret: str) -> str:
    pattern = re.escape(secret)
    return pattern if len(secret) >= SHORT else rf"(?<!\w){pattern}(?!\w)"


def _escaped(character: re.Match[str]) -> str:
    return character[0].encode("unicode_escape").decode()
