"""An orderer's channel participation REST API over HTTPS with mutual TLS.

Source: orderer/common/channelparticipation/restapi.go. Any client certificate of the TLS authority may do everything.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import ssl
from typing import TYPE_CHECKING, Final

from aiohttp import web
from aiohttp.multipart import BodyPartReader

from fabric_devnet.embedded.broadcast import Broadcast, BroadcastRefused, NoAnswer
from fabric_devnet.embedded.consenters import is_consenter
from fabric_devnet.embedded.errors import NotInLedger
from fabric_devnet.embedded.joinblocks import JoinRefused, parse_join_block, parse_update_envelope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from fabric_devnet.embedded.chain import Chain
    from fabric_devnet.embedded.ordering import Member, OrderingService

BASE: Final = "/participation/v1"
CHANNELS: Final = f"{BASE}/channels"
MAX_REQUEST_BYTES: Final = 1024 * 1024
REMOVAL_SECONDS: Final = 0.2
_CHANNEL_NAME: Final = re.compile(r"[a-z][a-z0-9.-]*")
_MAX_NAME: Final = 249
_JOIN_PART: Final = "config-block"
_UPDATE_PART: Final = "config-update-envelope"
_NO_STORE: Final = {"Cache-Control": "no-store"}
_ON_CHANNEL: Final = "GET, DELETE"
_ACCEPTED: Final = ("application/json", "application/*", "*/*")


class Problem(Exception):
    """An answer other than success: HTTP status, Fabric's text, and the Allow header of a 405.

    `bodies` is how often the answer holds the JSON error: Fabric writes one of them twice.
    """

    def __init__(self, status: int, text: str, allow: str = "", bodies: int = 1) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.allow = allow
        self.bodies = bodies


class ParticipationServer:
    """The admin listener of one orderer."""

    def __init__(self, service: OrderingService, member: Member) -> None:
        self._service = service
        self._member = member
        self._runner: web.AppRunner | None = None

    async def start(self, address: str, tls: Path) -> None:
        """Serve on `address` with server.crt, server.key and ca.crt of `tls`; raises OSError when it cannot."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tls / "ca.crt"))
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(tls / "server.crt", tls / "server.key")
        application = web.Application(middlewares=[_answer_problems], client_max_size=2 * MAX_REQUEST_BYTES)
        application.router.add_get(f"{BASE}/", _redirect)
        application.router.add_route("*", CHANNELS, self._on_channels)
        application.router.add_route("*", CHANNELS + "/{channel}", self._on_channel)
        application.router.add_route("*", CHANNELS + "/{channel}/blocks/{block}", self._on_block)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        host, _, port = address.rpartition(":")
        await web.TCPSite(self._runner, host, int(port), ssl_context=context).start()

    async def stop(self) -> None:
        """Stop serving."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _on_channels(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            return self._list()
        if request.method == "POST":
            return self._join(await _read_part(request, _JOIN_PART))
        if request.method == "PUT":
            return self._update(await _read_part(request, _UPDATE_PART))
        raise Problem(405, f"invalid request method: {request.method}", "GET, POST, PUT")

    async def _on_channel(self, request: web.Request) -> web.Response:
        channel_id = _channel_id(request)
        if request.method == "GET":
            return web.json_response(self._info(channel_id), headers=_NO_STORE, dumps=_dumps)
        if request.method == "DELETE":
            return self._remove(channel_id)
        raise Problem(405, f"invalid request method: {request.method}", _ON_CHANNEL)

    async def _on_block(self, request: web.Request) -> web.Response:
        channel_id = _channel_id(request)
        if request.method != "GET":
            raise Problem(405, f"invalid request method: {request.method}", "GET")
        chain = self._service.chain(self._member, channel_id)
        if chain is None:
            raise Problem(404, "channel does not exist")
        if not self._takes_part(chain):
            raise Problem(404, "channel is not ready, he is a follower")
        try:
            block = chain.blocks.block(_block_number(chain, request.match_info["block"]))
        except NotInLedger as exc:
            raise Problem(404, str(exc)) from exc
        return web.Response(body=block.SerializeToString(), content_type="application/octet-stream", headers=_NO_STORE)

    def _list(self) -> web.Response:
        names = sorted(self._member.channels | self._member.removing)
        channels = [{"name": name, "url": f"{CHANNELS}/{name}"} for name in names]
        answer = {"systemChannel": None, "channels": channels or None}
        return web.json_response(answer, headers=_NO_STORE, dumps=_dumps)

    def _info(self, channel_id: str) -> dict[str, object]:
        url = f"{CHANNELS}/{channel_id}"
        if channel_id in self._member.removing:
            return {"name": channel_id, "url": url, "consensusRelation": "consenter", "status": "inactive", "height": 0}
        chain = self._service.chain(self._member, channel_id)
        if chain is None:
            raise Problem(404, "channel does not exist")
        relation = "consenter" if self._takes_part(chain) else "follower"
        return {
            "name": channel_id,
            "url": url,
            "consensusRelation": relation,
            "status": "active",
            "height": chain.height,
        }

    def _takes_part(self, chain: Chain) -> bool:
        return is_consenter(chain.config, self._member.tls_certificate, self._member.identity)

    def _join(self, content: bytes) -> web.Response:
        try:
            block, config = parse_join_block(content)
        except JoinRefused as exc:
            raise Problem(400, str(exc)) from exc
        if config.channel_id in self._member.removing:
            raise Problem(409, "cannot join: channel pending removal")
        if config.channel_id in self._member.channels:
            raise Problem(405, "cannot join: channel already exists", _ON_CHANNEL)
        if block.header.number and not self._service.running_members(config.channel_id):
            raise Problem(400, "cannot join: no running orderer of this network has the earlier blocks")
        self._service.join(self._member, block, config.channel_id)
        info = self._info(config.channel_id)
        return web.json_response(info, status=201, headers={"Location": str(info["url"])}, dumps=_dumps)

    def _update(self, content: bytes) -> web.Response:
        """Order a config update. Unlike Fabric's own orderer, which locks itself up, it goes on after a refusal."""
        try:
            envelope, channel_id = parse_update_envelope(content)
        except JoinRefused as exc:
            raise Problem(400, f"invalid config update envelope: {exc}") from exc
        if channel_id in self._member.removing:
            raise Problem(409, "cannot update: channel pending removal")
        chain = self._service.chain(self._member, channel_id)
        if chain is None:
            raise Problem(405, "cannot update: channel does not exist")
        if not self._takes_part(chain):
            raise Problem(403, "cannot update: channel is not ready, he is a follower")
        try:
            Broadcast(self._service, self._member).update_config(chain, envelope)
        except (BroadcastRefused, NoAnswer) as exc:
            raise Problem(400, f"cannot update: failed update config of channel {channel_id}: {exc}") from exc
        info = self._info(channel_id)
        return web.json_response(info, status=201, headers={"Location": str(info["url"])}, dumps=_dumps)

    def _remove(self, channel_id: str) -> web.Response:
        if channel_id in self._member.removing:
            raise Problem(409, "cannot remove: channel pending removal")
        if channel_id not in self._member.channels:
            raise Problem(404, "cannot remove: channel does not exist")
        self._service.leave(self._member, channel_id)
        self._member.removing.add(channel_id)
        # Fabric answers before the ledger is gone, and clients have to live with what they see meanwhile.
        asyncio.get_running_loop().call_later(REMOVAL_SECONDS, self._member.removing.discard, channel_id)
        return web.Response(status=204)


@web.middleware
async def _answer_problems(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn problems into JSON bodies and mark every answer with a request ID."""
    try:
        _check_accept(request)
        response = await handler(request)
    except Problem as problem:
        headers = {"Allow": problem.allow} if problem.allow else {}
        body = _dumps({"error": problem.text}) * problem.bodies
        response = web.Response(text=body, status=problem.status, headers=headers, content_type="application/json")
    response.headers["X-Request-Id"] = secrets.token_hex(8)
    return response


async def _redirect(_request: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": CHANNELS})


def _check_accept(request: web.Request) -> None:
    accept = request.headers.get("Accept", "")
    wanted = [part.split(";")[0].strip() for part in accept.split(",") if part.strip()]
    if wanted and not any(kind in _ACCEPTED for kind in wanted):
        raise Problem(406, "response Content-Type is application/json only")


async def _read_part(request: web.Request, name: str) -> bytes:
    """Return the single file part of a multipart form; raises Problem 400."""
    if not request.content_type.startswith("multipart/form-data"):
        raise Problem(400, f"unsupported Content-Type: [{request.headers.get('Content-Type', '')}]")
    if (request.content_length or 0) > MAX_REQUEST_BYTES:
        raise Problem(400, "cannot read form from request body: http: request body too large")
    parts: dict[str, bytes] = {}
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or part.name is None:
                raise Problem(400, "form contains too many parts")
            parts[part.name] = bytes(await part.read())
    except ValueError as exc:
        raise Problem(400, f"cannot read form from request body: {exc}") from exc
    if name not in parts:
        raise Problem(400, f"form does not contains part key: {name}")
    if len(parts) > 1:
        raise Problem(400, "form contains too many parts")
    return parts[name]


def _channel_id(request: web.Request) -> str:
    channel_id = request.match_info["channel"]
    problem = ""
    if len(channel_id) > _MAX_NAME:
        problem = f"channel ID illegal, cannot be longer than {_MAX_NAME}"
    elif not _CHANNEL_NAME.fullmatch(channel_id):
        problem = f"'{channel_id}' contains illegal characters"
    if problem:
        raise Problem(400, f"invalid channel ID: {problem}")
    return channel_id


def _block_number(chain: Chain, text: str) -> int:
    named = {"newest": chain.height - 1, "oldest": 0, "config": chain.last_config, "-1": chain.height - 1}
    if text in named:
        return named[text]
    if not text.isascii() or not text.isdigit():
        raise Problem(400, f"invalid block ID: '{text}' not equal <newest|oldest|config|(number)>", bodies=2)
    return int(text)


def _dumps(value: object) -> str:
    """Encode as Go does: compact, `<`, `>` and `&` escaped, a newline at the end."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e") + "\n"
