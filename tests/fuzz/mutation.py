"""Breaking JSON: byte by byte, token by token, and in its structure."""

import json
import random
import re
from collections.abc import Callable
from typing import Any, Final

_TOKEN: Final = re.compile(
    rb'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[{}\[\],:]'
)
_DEEP: Final = 10_000
_HUGE: Final = 1_000_000
_LONG: Final = 100_000
"""Bytes above which a text is broken no further but in its bytes: it was made long to be slow."""

_TEXTS: Final = (
    "",
    " ",
    "\0",
    "a\nforged,x=1 y=2 3",
    "a\r\nforged x=1",
    "\u2028\u2029\x85\x0b",
    "a,b=c d",
    "a\\",
    '"',
    "${x}",
    "#",
    "nan",
    "inf",
    "1e999",
    "9" * 400,
    "../../etc",
    "<script>",
    "\x1b[31m",
    "\u202e",
    "\U0001f525",
    "unavailable",
    "state_changed",
    "x" * 70_000,
    "2026-11-20T15:44:33.435789+00:00",
    "9999-12-31T23:59:59.999999-14:00",
    "0001-01-01T00:00:00+14:00",
    "2026-02-30T25:61:61Z",
)
_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 1.5, 1e308, 2**53 + 1, 2**63, 2**64, -(2**70), [], {}, [[]]),
    *({"": {}}, [None], {"a": [1, {"b": None}]}, float("nan"), float("inf"), float("-inf")),
)
_TOKENS: Final = (
    *(b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-0", b"01", b"+1", b".5", b"1.", b"0x1"),
    *(b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\u0000"', b'"\\x00"', b'"\\', b'"', b"'a'"),
    *(b'"\xff\xfe"', b'"\xed\xa0\x80"', b'"\n"', b"\0", b"undefined", b"/**/", b"\xef\xbb\xbf"),
    *(b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"{}", b"[]", b'{"a":1,"a":2}'),
)
_BYTES: Final = (b"\0", b"\n", b"\r", b'"', b"\\", b"\xff", b"\xc3", b"\xed\xa0\x80", b"{", b"}")


class Mutator:
    """Breaks JSON, the same way for the same dice.

    Args:
        dice: Where chance comes from.
    """

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice

    def broken(self, text: bytes) -> bytes:
        """Return the text with one to three things wrong, or now and then as it is."""
        for _ in range(self._dice.choice((0, 1, 1, 1, 2, 3))):
            text = self._one(text)(text)
        return text

    def value(self) -> Any:
        """Return any JSON value, or what Python takes for one."""
        return self._dice.choice((*_VALUES, *_TEXTS))

    def text(self) -> str:
        """Return a text that somebody may choke on."""
        text = self._dice.choice(_TEXTS)
        return text + chr(self._dice.randrange(0x110000)) if self._dice.random() < 0.2 else text

    def _one(self, text: bytes) -> Callable[[bytes], bytes]:
        if len(text) > _LONG:
            return self._bytes
        rare = (self._huge_number, self._deep, self._long_text)
        if self._dice.random() < 0.004:
            return self._dice.choice(rare)
        return self._dice.choice((self._bytes, self._tokens, self._tokens, self._structure))

    def _bytes(self, text: bytes) -> bytes:
        at = self._dice.randrange(len(text) + 1)
        end = min(len(text), at + self._dice.choice((1, 1, 2, 8, 100)))
        match self._dice.randrange(6):
            case 0:
                return text[:at]
            case 1:
                return text[:at] + text[end:]
            case 2:
                return text[:at] + text[at:end] * 2 + text[end:]
            case 3:
                return text[:at] + self._dice.choice(_BYTES) + text[at:]
            case 4:
                return text[:at] + self._dice.randbytes(end - at) + text[end:]
            case _:
                return text[end:] + text[:at]

    def _tokens(self, text: bytes) -> bytes:
        found = list(_TOKEN.finditer(text))
        if not found:
            return self._dice.choice(_TOKENS)
        token = self._dice.choice(found)
        other = self._dice.choice(found)[0]
        strange = json.dumps(self.text(), ensure_ascii=self._dice.random() < 0.5)
        new = self._dice.choice(
            (self._dice.choice(_TOKENS), strange.encode(errors="surrogatepass"), other, b"")
        )
        if self._dice.random() < 0.1:  # a key that comes twice
            new = token[0] + b":" + other + b"," + token[0]
        return text[: token.start()] + new + text[token.end() :]

    def _structure(self, text: bytes) -> bytes:
        try:
            whole = json.loads(text)
        except (ValueError, RecursionError):
            return self._bytes(text)
        places = [([whole], 0), *_places(whole)]
        place, key = self._dice.choice(places)
        match self._dice.randrange(5):
            case 0 if isinstance(place, dict):
                del place[key]
            case 1:
                place[key] = self._dice.choice(places)[0]
            case 2 if isinstance(place, dict):
                place[self.text()] = place[key]
            case 3:
                place[key] = [place[key]] if self._dice.random() < 0.5 else {"a": place[key]}
            case _:
                place[key] = self.value()
        whole = places[0][0][0]
        try:
            return json.dumps(whole, ensure_ascii=self._dice.random() < 0.5).encode(
                errors="surrogatepass"
            )
        except (ValueError, RecursionError):  # it holds itself
            return self._bytes(text)

    def _instead_of_a_token(self, text: bytes, new: bytes) -> bytes:
        found = list(_TOKEN.finditer(text))
        if not found:
            return new
        token = self._dice.choice(found)
        return text[: token.start()] + new + text[token.end() :]

    def _huge_number(self, text: bytes) -> bytes:
        sign = self._dice.choice((b"", b"-", b"1.", b"1e"))
        return self._instead_of_a_token(text, sign + b"9" * _HUGE)

    def _deep(self, text: bytes) -> bytes:
        opening, closing = self._dice.choice(((b"[", b"]"), (b'{"a":', b"}")))
        deep = opening * _DEEP + b"1" + closing * _DEEP
        return self._instead_of_a_token(text, deep)

    def _long_text(self, text: bytes) -> bytes:
        filling = self._dice.choice((b"x", b"\\n", b"\\u0000", b"\xc3\xa4", b",", b" "))
        return self._instead_of_a_token(text, b'"' + filling * _HUGE + b'"')


def _places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything within a value."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            keys: Any = list(one)
        elif isinstance(one, list):
            keys = range(len(one))
        else:
            continue
        for key in keys:
            found.append((one, key))
            waiting.append(one[key])
    return found
