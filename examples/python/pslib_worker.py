"""A worker of a pslib server in Python, written from docs/protocol.md alone.

It does one thing at a time: a pull, a push with a tick, a pull … What is unanswered when the connection is
lost is sent again on the next one, a push with the same number, so each is applied exactly once. It holds one
model on one server, and computes nothing itself.
"""

import asyncio
import logging
import random
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Iterable

import msgpack
import numpy as np
import websockets

from frames import Malformed, decode_frame, encode_frame

HELLO, GOODBYE, PING, COMPUTING = 1, 2, 3, 4
ENTER, LEAVE, PULL, PUSH, PUSH_CHUNK = 10, 11, 13, 15, 16
WELCOME, PONG, FAULT, FINISH, DRAIN = 64, 65, 66, 67, 68
CLOCK_RESULT, PULL_RESULT, PULL_CHUNK, WAITING, PUSH_RESULT = 70, 71, 72, 73, 74

OUTCOMES = ("applied", "buffered", "scaled", "dropped")
DRAINING = 11
"""Fault: the server is closing. What was asked is decided by the next one."""
HEADER_ROOM = 16_448
"""How much longer than its payload a message can be."""
CATALOGUE_ROOM = 64 * 2**20
"""Welcome comes in one message, whatever chunkBytes is: the room for its catalogue."""

log = logging.getLogger("pslib")


class Refused(Exception):
    """The server refused a request, a push or the connection. `code` is a number of the table of faults."""

    def __init__(self, fault: dict):
        super().__init__(fault["message"])
        self.code: int = fault["code"]
        self.laggards: list = fault.get("laggards", [])


class StateLost(Exception):
    """The server came back without updates that it had acknowledged."""


class _Lost(Exception):
    """The connection is lost: try the next one, not before `after` seconds."""

    def __init__(self, why: str, after: float = 0.0):
        super().__init__(why)
        self.after = after


@dataclass
class Tensor:
    """One entry of the catalogue: where the tensor lies in the model, in elements."""

    name: str
    shape: tuple[int, ...]
    trainable: bool
    begin: int
    end: int


@dataclass
class PushResult:
    outcome: str
    duplicate: bool
    version: int
    delay: int


@dataclass
class _Push:
    """A push that has its number: everything about it stays the same however often it is sent."""

    fields: dict
    gradient: memoryview


@dataclass
class Worker:
    """A worker of the server at `url`, a ws: or wss: address. Use it in `async with`."""

    url: str
    id: str = field(default_factory=lambda: f"python-{secrets.token_hex(4)}")
    token: str | None = None
    max_step_seconds: float = 600.0
    min_delay_seconds: float = 0.5
    max_delay_seconds: float = 30.0
    max_offline_seconds: float = 600.0

    clock: int = field(default=0, init=False)
    finish_reason: str | None = field(default=None, init=False)
    tensors: list[Tensor] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._session = secrets.token_hex(16)
        self._socket: Any = None
        self._welcome: dict = {}
        self._catalogue: list | None = None
        self._pinger: asyncio.Task | None = None
        self._sent_at = 0.0
        self._place: int | None = None  # ENTER or LEAVE, whichever was asked for last
        self._request = 0
        self._seq = 0
        self._answered_seq = 0
        self._pulled: list | None = None

    async def __aenter__(self) -> "Worker":
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connect(self) -> None:
        """Connects, as often as it takes. Raises Refused for what will not get better."""
        await self._until_done(lambda: asyncio.sleep(0))

    async def enter(self) -> None:
        """Enters the clock table: from now on others may wait for this worker."""
        self._place = ENTER
        await self._until_done(lambda: self._set_clock(ENTER))

    async def leave(self) -> None:
        """Leaves the clock table: nobody waits for this worker any more."""
        self._place = LEAVE
        await self._until_done(lambda: self._set_clock(LEAVE))

    async def pull(self) -> dict[str, np.ndarray]:
        """The parameters for the next step, by name: one version of all of them."""
        model = await self._until_done(self._pull)
        return {t.name: model[t.begin : t.end].reshape(t.shape) for t in self.tensors}

    async def push(
        self, gradients: dict[str, np.ndarray], metrics: dict[str, float] | None = None, examples: int = 1
    ) -> PushResult:
        """Pushes the gradients of a step and raises the clock by one. Tensors left out have no gradient."""
        push = self._numbered(gradients, metrics, examples)
        return await self._until_done(lambda: self._push(push))

    async def run(self, gradient: Callable, batches: Iterable, steps: int) -> int:
        """Trains: gradient(parameters, batch) gives (gradients, metrics, examples). Returns the steps taken."""
        await self.enter()
        taken = 0
        for _, batch in zip(range(steps), batches):
            if self.finish_reason is not None:
                break
            parameters = await self.pull()
            await self.announce()
            await self.push(*gradient(parameters, batch))
            taken += 1
        await self.leave()
        return taken

    async def announce(self) -> None:
        """Tells the server that this thread will be busy for a while."""
        try:
            await self._send({"t": COMPUTING, "stepMs": int(self.max_step_seconds * 1000)})
        except _Lost:
            pass  # The next request connects again; meanwhile there is no lease to keep.

    async def close(self) -> None:
        """Says Goodbye, and waits for the server to close."""
        if self._socket is not None:
            try:
                await self._send({"t": GOODBYE, "reason": "done"})
                await asyncio.wait_for(self._socket.wait_closed(), 5)
            except (_Lost, asyncio.TimeoutError):
                pass
        await self._drop()

    # What is asked, and asked again after a loss

    async def _until_done(self, action: Callable):
        """Carries out `action` on a connection, and again on the next one if that is lost meanwhile."""
        bound, offline_since = self.min_delay_seconds, time.monotonic()
        while True:
            try:
                if self._socket is None:
                    await self._open()
                    offline_since = time.monotonic()
                return await action()
            except (_Lost, Malformed) as error:
                await self._drop()
                if time.monotonic() - offline_since > self.max_offline_seconds:
                    raise ConnectionError(f"no connection to {self.url}: {error}") from error
                # Full jitter: workers that lost one server must not come back in step.
                delay = getattr(error, "after", 0.0) + random.uniform(0, bound)
                log.info("%s: %s; next attempt in %.1f s", self.id, error, delay)
                await asyncio.sleep(delay)
                bound = min(self.max_delay_seconds, bound * 2)

    async def _set_clock(self, kind: int) -> None:
        answer, _ = await self._ask({"t": kind, "clock": self.clock}, CLOCK_RESULT)
        self.clock = answer["clock"]

    async def _pull(self) -> np.ndarray:
        fields = {"t": PULL, "training": True, "clock": self.clock, "consistent": True}
        head, payload = await self._ask(fields, PULL_RESULT)
        model = np.empty(head["bytes"] // 4, "<f4")
        into = memoryview(model).cast("B")
        at = len(payload)
        into[:at] = payload
        while at < len(into):
            chunk, payload = await self._answer(PULL_CHUNK, "request", head["request"])
            if chunk["offset"] != at or chunk["version"] != head["version"]:
                raise Malformed("a chunk out of order, or of another version")
            into[at : at + len(payload)] = payload
            at += len(payload)
        self.clock = head["clock"]
        self._pulled = [self._welcome["incarnation"], head["version"]]
        return model

    def _numbered(self, gradients: dict, metrics: dict | None, examples: int) -> _Push:
        """Takes the next number. The gradient is laid end to end in the order of the catalogue."""
        unknown = gradients.keys() - {t.name for t in self.tensors}
        if unknown:
            raise ValueError(f"the model has no tensor {sorted(unknown)[0]!r}")
        bitmap = bytearray((len(self.tensors) + 7) // 8)
        parts = []
        for i, tensor in enumerate(self.tensors):
            if tensor.name not in gradients:
                continue
            part = np.asarray(gradients[tensor.name], "<f4")
            if part.size != tensor.end - tensor.begin:
                raise ValueError(f"{tensor.name!r} has shape {tensor.shape}, its gradient {part.shape}")
            bitmap[i // 8] |= 1 << i % 8
            parts.append(part.ravel())
        gradient = memoryview(np.concatenate(parts)).cast("B") if parts else memoryview(b"")
        self._seq += 1
        fields = {
            "t": PUSH,
            "seq": self._seq,
            "clock": self.clock,
            "version": self._pulled,
            "tensors": bytes(bitmap),
            "bytes": len(gradient),
            "tick": self.clock + 1,
            "metrics": metrics,
            "examples": examples,
        }
        return _Push(fields, gradient)

    async def _push(self, push: _Push) -> PushResult:
        # Parts are multiples of 4 bytes, so that each holds whole elements.
        size = self._welcome["chunkBytes"] // 4 * 4
        seq = push.fields["seq"]
        await self._send(push.fields, push.gradient[:size])
        for offset in range(size, len(push.gradient), size):
            part = push.gradient[offset : offset + size]
            await self._send({"t": PUSH_CHUNK, "seq": seq, "offset": offset}, part)
        try:
            answer, _ = await self._answer(PUSH_RESULT, "seq", seq)
        except Refused:
            self._answered_seq = seq
            raise
        self._answered_seq = seq
        self.clock = answer["clock"]
        outcome = OUTCOMES[answer["outcome"]]
        return PushResult(outcome, answer.get("duplicate", False), answer["version"], answer["delay"])

    # The connection

    async def _open(self) -> None:
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        try:
            self._socket = await websockets.connect(
                self.url,
                subprotocols=["pslib.v1"],
                extra_headers=headers,
                compression=None,
                max_size=CATALOGUE_ROOM + HEADER_ROOM,
                # The protocol has a Ping of its own; the library's would end connections while we compute.
                ping_interval=None,
                open_timeout=10,
                close_timeout=5,
            )
        except websockets.InvalidStatusCode as error:
            if error.status_code in (401, 403):
                raise Refused({"code": 23, "message": f"the server answered {error.status_code}"}) from error
            raise _Lost(str(error)) from error
        except (OSError, asyncio.TimeoutError, websockets.WebSocketException) as error:
            raise _Lost(str(error) or "no answer") from error
        if self._socket.subprotocol != "pslib.v1":
            raise _Lost("the server chose no subprotocol")
        await self._greet()

    async def _greet(self) -> None:
        lineage = self._welcome.get("lineage")
        hello = {"t": HELLO, "protocol": 1, "worker": self.id, "session": self._session, "lineage": lineage}
        await self._send(hello)
        welcome, payload = await self._receive(timeout=10)
        if welcome["t"] != WELCOME:
            raise Malformed("something before Welcome")
        if welcome["shardCount"] != 1:
            raise RuntimeError("this model is held by several servers, which this worker cannot join")
        catalogue = msgpack.unpackb(payload)
        self._check_history(lineage, welcome, catalogue)
        self._welcome, self._catalogue = welcome, catalogue
        self.tensors = _tensors_of(catalogue)
        # A server that went back a little takes over the clock that it had told this worker.
        self.clock = max(self.clock, welcome["clock"])
        self._pinger = asyncio.create_task(self._keep_alive(welcome["pingMs"] / 1000))
        if self._place is not None:
            await self._set_clock(self._place)

    def _check_history(self, lineage: str | None, welcome: dict, catalogue: list) -> None:
        if lineage is None:
            return
        is_same = welcome["lineage"] == lineage and welcome.get("resumed", False)
        if not is_same or welcome["committedSeq"] < self._answered_seq:
            raise StateLost("the server lost updates that it had acknowledged")
        if catalogue != self._catalogue:
            raise RuntimeError("the server holds another model now")

    async def _keep_alive(self, ping_seconds: float) -> None:
        """Sends a Ping whenever nothing was sent for a while."""
        try:
            while True:
                rest = self._sent_at + ping_seconds - time.monotonic()
                if rest <= 0:
                    await self._send({"t": PING})
                else:
                    await asyncio.sleep(rest)
        except _Lost:
            pass  # Whoever waits for an answer learns of it too.

    async def _drop(self) -> None:
        socket, self._socket = self._socket, None
        if self._pinger is not None:
            self._pinger.cancel()
            self._pinger = None
        if socket is not None:
            # Without a close handshake: the other end may be gone.
            socket.transport.abort()
            await socket.wait_closed()

    # Messages

    async def _send(self, fields: dict, payload=b"") -> None:
        if self._socket is None:
            raise _Lost("there is no connection")
        try:
            await self._socket.send(encode_frame(fields, payload))
            self._sent_at = time.monotonic()
        except websockets.ConnectionClosed as error:
            raise self._loss(error) from error

    async def _ask(self, fields: dict, answer: int) -> tuple[dict, memoryview]:
        self._request += 1
        await self._send({**fields, "request": self._request})
        return await self._answer(answer, "request", self._request)

    async def _answer(self, kind: int, key: str, number: int) -> tuple[dict, memoryview]:
        """The next message of `kind` whose field `key` is `number`. What is left of older requests is passed over."""
        while True:
            message, payload = await self._receive(self._welcome["leaseMs"] / 1000)
            if message["t"] == FAULT and message.get(key) == number:
                if message["code"] == DRAINING:
                    raise _Lost("the server is closing")
                raise Refused(message)
            if message["t"] == kind and message[key] == number:
                return message, payload
            if message["t"] == WAITING:
                names = ", ".join(laggard[0] for laggard in message["laggards"])
                log.info("%s waits for %s", self.id, names or "the server")

    async def _receive(self, timeout: float) -> tuple[dict, memoryview]:
        """The next message that concerns more than the connection. Silence for `timeout` seconds ends that."""
        while True:
            try:
                frame = await asyncio.wait_for(self._socket.recv(), timeout or None)
            except asyncio.TimeoutError:
                raise _Lost(f"nothing was heard for {timeout} s") from None
            except websockets.ConnectionClosed as error:
                raise self._loss(error) from error
            if not isinstance(frame, bytes):
                raise Malformed("the server sent text")
            message, payload = decode_frame(frame)
            kind = message["t"]
            if kind == FINISH:
                self.finish_reason = message["reason"]
            elif kind == DRAIN:
                raise _Lost("the server will close", message["retryAfterMs"] / 1000)
            elif kind == FAULT and "request" not in message and "seq" not in message:
                # A close follows, and its code says whether to come back.
                log.warning("%s: %s", self.id, message["message"])
            elif kind != PONG:
                return message, payload

    def _loss(self, error: websockets.ConnectionClosed) -> Exception:
        """What a closed connection means: codes from 4400 to 4499 are final."""
        code = 1006 if error.rcvd is None else error.rcvd.code
        if 4400 <= code <= 4499:
            return Refused({"code": code, "message": error.rcvd.reason or f"closed with {code}"})
        return _Lost(f"closed with {code}")


def _tensors_of(catalogue: list) -> list[Tensor]:
    tensors, begin = [], 0
    for name, shape, dtype, trainable, *_ in catalogue:
        if dtype != "float32":
            raise RuntimeError(f"{name!r} is of type {dtype}")
        end = begin + int(np.prod(shape, dtype=np.int64))
        tensors.append(Tensor(name, tuple(shape), trainable, begin, end))
        begin = end
    return tensors
