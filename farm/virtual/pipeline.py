"""Requests to a daemon in as few messages as a real probe would need packets.

A write by which a core register is set, and a read whose value is not wanted yet, wait for what
comes next, as in a CMSIS-DAP probe: then all of them go in one message.
"""

from __future__ import annotations

from farm.virtual.rpc import (
    Client,
    Op,
    ProtocolError,
    Reply,
    Request,
    RpcError,
    take_reply,
)

SMALL_BYTES = 8 * 1024  # a request or reply of more goes alone
QUEUE_BYTES = 32 * 1024


class Pending:
    """A request that is on its way."""

    def __init__(self, pipeline: Pipeline, request: Request) -> None:
        self._pipeline = pipeline
        self.request = request
        self.reply: Reply | None = None
        self.error: RpcError | None = None

    def result(self) -> Reply:
        """The reply, waited for if need be; RpcError when the request failed."""
        if self.reply is None and self.error is None:
            self._pipeline.flush()
        if self.error is not None:
            raise self.error
        assert self.reply is not None
        return self.reply


class Pipeline:
    """The requests of one connection, kept in order."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._queue: list[Pending] = []
        self._queued_bytes = 0

    def post(self, request: Request) -> Pending:
        """Send it with the next that cannot wait."""
        if self._queued_bytes + _bytes_of(request) > QUEUE_BYTES:
            self.flush()
        pending = Pending(self, request)
        self._queue.append(pending)
        self._queued_bytes += _bytes_of(request)
        return pending

    def call(self, request: Request) -> Reply:
        """Send it now, behind everything that waits; RpcError when it fails.

        The error of a write that waited comes here too, and the request is not done then.
        """
        if _bytes_of(request) > SMALL_BYTES:
            self.flush()
            return self._client.call(request)
        pending = self.post(request)
        self.flush(pending)
        return pending.result()

    def flush(self, waited_for: Pending | None = None) -> None:
        """Send what waits; RpcError when a write failed that nobody else asks for."""
        queue, self._queue, self._queued_bytes = self._queue, [], 0
        try:
            self._exchange(queue)
        except RpcError as error:
            _fail(queue, error)
            raise
        for each in queue:
            asked_later = each is waited_for or each.request.op is Op.MEM_READ
            if each.error and not asked_later:
                raise each.error

    def _exchange(self, queue: list[Pending]) -> None:
        if len(queue) < 2:
            for each in queue:
                each.reply = self._client.call(each.request)
            return
        payload = b"".join(each.request.encode() for each in queue)
        buffer = bytearray(self._client.call(Request(Op.BATCH, payload=payload)).payload)
        for each in queue:
            reply = take_reply(buffer)
            if reply is None:
                break
            try:
                each.reply = self._client.checked(reply)
            except RpcError as error:
                each.error = error
        _fail_rest(queue)


def _bytes_of(request: Request) -> int:
    """How much of a message it takes, there or back."""
    answered = {Op.BLOCK_READ: request.value, Op.AP_READ: 4 * request.value}
    return 32 + len(request.payload) + answered.get(request.op, 0)


def _fail(queue: list[Pending], error: RpcError) -> None:
    for each in queue:
        if each.reply is None and each.error is None:
            each.error = error


def _fail_rest(queue: list[Pending]) -> None:
    """What came behind a write that failed was not done."""
    failed = [each.error for each in queue if each.error]
    missing = [each for each in queue if each.reply is None and each.error is None]
    if missing and not failed:
        raise ProtocolError("a batch was answered in part")
    for each in missing:
        each.error = failed[-1]
