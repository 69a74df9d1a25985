"""The asset chaincode's functions. No I/O but the stub."""

import json
from collections.abc import Awaitable, Callable, Sequence

from opssc_chaincode.shim import InvalidKeyError, Response, Stub

_Function = Callable[[Stub, Sequence[str]], Awaitable[Response]]


class AssetChaincode:
    """Assets are keys with text values.

    `Set(key, value)`, `Get(key)`, `Delete(key)`, `Increment(key)` (reads and writes, so two in one block conflict),
    `List(start, end)`, `Page(start, end, size, bookmark)`, `History(key)`, `Emit(name, payload)` (an event),
    `Fail(status, message)`, `Crash()` (a bug on purpose), `Init(value)` (for definitions that require it).
    """

    def __init__(self) -> None:
        self._functions: dict[str, tuple[int, _Function]] = {
            "Set": (2, _set),
            "Get": (1, _get),
            "Delete": (1, _delete),
            "Increment": (1, _increment),
            "List": (2, _list),
            "Page": (4, _page),
            "History": (1, _history),
            "Emit": (2, _emit),
            "Fail": (2, _fail),
            "Crash": (0, _crash),
            "Init": (1, _init),
        }

    async def invoke(self, stub: Stub) -> Response:
        """Carry out one transaction; 400 for a call that makes no sense."""
        try:
            name, *args = [arg.decode() for arg in stub.args]
        except ValueError:
            return Response(400, "give a function name and UTF-8 arguments")
        expected, function = self._functions.get(name, (0, _unknown))
        if function is not _unknown and len(args) != expected:
            return Response(400, f"{name} takes {expected} arguments, {len(args)} given")
        try:
            return await function(stub, args)
        except InvalidKeyError as exc:
            return Response(400, str(exc))


async def _set(stub: Stub, args: Sequence[str]) -> Response:
    key, value = args
    await stub.put_state(key, value.encode())
    return Response()


async def _get(stub: Stub, args: Sequence[str]) -> Response:
    value = await stub.get_state(args[0])
    return Response(404, f"asset {args[0]} does not exist") if value is None else Response(payload=value)


async def _delete(stub: Stub, args: Sequence[str]) -> Response:
    await stub.delete_state(args[0])
    return Response()


async def _increment(stub: Stub, args: Sequence[str]) -> Response:
    text = await stub.get_state(args[0]) or b"0"
    if not text.isdigit():
        return Response(400, f"asset {args[0]} is not a number")
    value = str(int(text) + 1).encode()
    await stub.put_state(args[0], value)
    return Response(payload=value)


async def _list(stub: Stub, args: Sequence[str]) -> Response:
    start, end = args
    items = await stub.get_state_by_range(start, end)
    return _json({item.key: item.value.decode(errors="replace") for item in items})


async def _page(stub: Stub, args: Sequence[str]) -> Response:
    start, end, size, bookmark = args
    if not size.isdecimal() or not 1 <= int(size) <= 1000:  # noqa: PLR2004 - the bound is said in the message
        return Response(400, "size is a number from 1 to 1000")
    page = await stub.get_state_page(start, end, page_size=int(size), bookmark=bookmark)
    items = {item.key: item.value.decode(errors="replace") for item in page.items}
    return _json({"items": items, "bookmark": page.bookmark})


async def _history(stub: Stub, args: Sequence[str]) -> Response:
    return _json(
        [
            {"txID": entry.transaction_id, "value": entry.value.decode(errors="replace"), "isDelete": entry.is_delete}
            for entry in await stub.get_history(args[0])
        ]
    )


async def _emit(stub: Stub, args: Sequence[str]) -> Response:
    name, payload = args
    stub.set_event(name, payload.encode())
    # An event rides on a transaction; a write makes the transaction one.
    await stub.put_state(f"event-{stub.transaction_id}", name.encode())
    return Response()


async def _fail(_stub: Stub, args: Sequence[str]) -> Response:
    status, message = args
    if not status.isdecimal() or not 100 <= int(status) <= 599:  # noqa: PLR2004 - the bound is said in the message
        return Response(400, "status is a number from 100 to 599")
    return Response(int(status), message)


async def _crash(_stub: Stub, _args: Sequence[str]) -> Response:
    raise RuntimeError("crashed on purpose")


async def _init(stub: Stub, args: Sequence[str]) -> Response:
    if not stub.is_init:
        return Response(400, "Init is for the initialisation transaction")
    await stub.put_state("init", args[0].encode())
    return Response()


async def _unknown(stub: Stub, _args: Sequence[str]) -> Response:
    return Response(404, f"function {stub.args[0].decode()[:64]} does not exist")


def _json(value: object) -> Response:
    return Response(payload=json.dumps(value, sort_keys=True, separators=(",", ":")).encode())
