"""The registry as it is on the bus now."""

from common.bus import Bus
from common.errors import MalformedEvent
from common.logs import OncePerMinute, logger
from common.registry import EMPTY, Registry

log = logger(__name__)


class RegistryReader:
    """Reads the registry again when its version has changed.

    Args:
        bus: Where `ha:registry` is.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._registry = EMPTY
        self._warn = OncePerMinute(log.warning)

    async def __call__(self) -> Registry:
        """Return the newest registry; the last readable one where it cannot be read.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        key = self._bus.keys.registry
        version = await self._bus.read_field(key, "version")
        if version is not None and version != str(self._registry.version).encode():
            try:
                self._registry = Registry.decode(await self._bus.read_hash(key))
            except MalformedEvent as error:
                self._warn("", "The registry cannot be read", error=str(error))
        return self._registry
