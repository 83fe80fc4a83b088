"""What the simulated home can be told while it lives: by method, or `GET /simulator/<method>?…`."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping
from dataclasses import fields
from typing import Any

from ingest.simulator import happenings
from ingest.simulator.client import Client
from ingest.simulator.happenings import Said
from ingest.simulator.home import NOT_RUNNING, STARTING, Home
from ingest.simulator.mischief import RUBBISH, Mischief, rubbish
from ingest.simulator.settings import Settings


class Controls(ABC):
    """The methods; `server.Simulator` is the only class that has them.

    Each takes effect at once, for the clients that are there and for those to come.
    """

    settings: Settings
    home: Home
    mischief: Mischief
    clients: set[Client]
    tasks: set[asyncio.Task[object]]
    rate: float
    sent: int

    @property
    @abstractmethod
    def told(self) -> bool:
        """Whether anybody would hear of a state change now."""

    @abstractmethod
    def now_us(self) -> int:
        """Microseconds since 1970."""

    @abstractmethod
    def publish(self, said: list[Said]) -> None:
        """Tell every client that wants it."""

    @abstractmethod
    def change(self, count: int) -> None:
        """Let so many states change now."""

    @abstractmethod
    async def listen(self) -> None:
        """Accept connections."""

    @abstractmethod
    async def stop_listening(self) -> None:
        """Refuse connections."""

    def obey(self, name: str, arguments: Mapping[str, Any]) -> tuple[int, object]:
        """Do what an HTTP request asks.

        Returns:
            Status code, and an answer for JSON.
        """
        if name not in ALLOWED:
            return 404, {"error": f"no such control: {name}", "controls": sorted(ALLOWED)}
        try:
            result = getattr(self, name)(**arguments)
        except (KeyError, TypeError, ValueError) as error:
            return 400, {"error": f"{type(error).__name__}: {error}"}
        if asyncio.iscoroutine(result):
            self._spawn(result)
            result = None
        return 200, {"ok": True, "result": result}

    def status(self) -> dict[str, object]:
        """Where the home stands: last number, changes that were to be sent, clients, entities."""
        return {
            "n": self.home.n, "sent": self.sent, "run": self.home.run, "phase": self.home.phase,
            "rate": self.rate, "entities": len(self.home.lives), "clients": len(self.clients),
            "subscribed": sum(bool(client.subscriptions) for client in self.clients),
            "pending": sum(client.outbox.pending for client in self.clients),
        }  # fmt: skip

    def set_rate(self, rate: float) -> None:
        """Change the rate: state changes a second; 0 stops them."""
        self.rate = float(rate)

    def misbehave(self, **switches: object) -> None:
        """Switch fields of `Mischief` on or off, e.g. `misbehave(twice=True, late_s=0.5)`.

        Raises:
            TypeError: When there is no such switch, or the value has the wrong type.
        """
        for name, value in switches.items():
            if name.startswith("_") or not hasattr(self.mischief, name):
                message = f"no such switch: {name}"
                raise TypeError(message)
            setattr(self.mischief, name, type(getattr(self.mischief, name))(value))
        quiet = self.mischief.silent or self.mischief.deaf
        for client in self.clients:
            if quiet:
                client.socket.transport.pause_reading()
            else:
                client.socket.transport.resume_reading()
        self.publish([])

    def behave(self) -> None:
        """Switch all mischief off."""
        new = Mischief()
        names = (field.name for field in fields(Mischief) if field.init and field.name[0] != "_")
        self.misbehave(**{name: getattr(new, name) for name in names})

    def refuse_token(self) -> None:
        """Revoke the token: it is refused from now on, and every client is hung up on."""
        self.misbehave(refuses_token=True)
        self.drop("hang_up")

    def accept_token(self) -> None:
        """Accept the token again."""
        self.misbehave(refuses_token=False)

    def drop(self, how: str | int = "abort") -> None:
        """End every connection.

        Args:
            how: `abort` (reset, what is buffered is lost), `eof` (no close frame), `hang_up` (as
                this version of Home Assistant does), or a close code such as 1000, 1001, 1012.

        Raises:
            ValueError: When it is none of these.
        """
        if how not in ("abort", "eof", "hang_up") and not str(how).isdecimal():
            message = f"drop how? {how!r}"
            raise ValueError(message)
        for client in list(self.clients):
            client.end()
            if how == "abort":
                client.socket.transport.abort()
            elif how == "eof":
                client.socket.transport.close()
            elif how == "hang_up":
                self._spawn(client.hang_up())
            else:
                self._spawn(client.socket.close(int(how)))

    def send_rubbish(self, kind: str = "not_json") -> None:
        """Send a frame of `mischief.RUBBISH` to every client.

        Args:
            kind: Its name; `all` sends the whole list but what is no conversation.

        Raises:
            KeyError: When there is no such kind.
        """
        for client in self.clients:
            subscription = next(iter(client.subscriptions), 1)
            payload, text = rubbish(kind, subscription)
            client.send_alone(payload, text=text)

    def rubbish_kinds(self) -> list[str]:
        """Every kind of rubbish."""
        return sorted(RUBBISH)

    async def restart(self, down_s: float = 2.0, starting_s: float = 0.5) -> None:
        """Restart Home Assistant; returns when it runs again.

        Args:
            down_s: Seconds in which connections are refused.
            starting_s: Seconds in which it is connectable, but half of its entities are missing or
                restored and `unavailable`.
        """
        flavour = self.settings.flavour
        linger_s = flavour.linger_s if self.settings.linger_s < 0 else self.settings.linger_s
        self.home.phase = "STOPPING"
        await self.stop_listening()
        if flavour.says_goodbye:
            leaving = list(self.clients)
            await asyncio.gather(*(client.linger(linger_s) for client in leaving))
            for client in leaving:
                client.end()
        else:
            self.publish([happenings.other(self.home, "homeassistant_stop", {}, self.now_us())])
            await asyncio.sleep(0.01)
            self.drop("hang_up")
        self.home.phase = NOT_RUNNING
        self.home.forget()
        await asyncio.sleep(down_s)
        await self.listen()
        self.home.phase = STARTING
        await asyncio.sleep(starting_s / 2)
        self.publish(happenings.start(self.home, self.now_us(), sent=self.told))
        await asyncio.sleep(starting_s / 2)
        self.publish(happenings.finish_start(self.home, self.now_us(), sent=self.told))

    def rename(self, entity_id: str, new_id: str) -> None:
        """Give an entity another id."""
        self.publish(happenings.rename(self.home, entity_id, new_id, self.now_us(), sent=self.told))

    def remove(self, entity_id: str) -> None:
        """Remove an entity."""
        self.publish(happenings.remove(self.home, entity_id, self.now_us(), sent=self.told))

    def add(self, entity_id: str, area_id: str | None = None) -> None:
        """Add a sensor."""
        self.publish(happenings.add(self.home, entity_id, area_id, self.now_us(), sent=self.told))

    def move(self, entity_id: str, area_id: str | None = None) -> None:
        """Put an entity into another area."""
        self.publish(happenings.move(self.home, entity_id, area_id, self.now_us()))

    def automation(self) -> None:
        """Let an automation call a service."""
        self.publish(happenings.automation(self.home, self.home.n, self.now_us()))

    def _spawn(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


ALLOWED = frozenset({
    "accept_token", "add", "automation", "behave", "change", "drop", "misbehave", "move",
    "refuse_token", "remove", "rename", "restart", "rubbish_kinds", "send_rubbish", "set_rate",
    "status",
})  # fmt: skip
"""Methods that HTTP may call."""
