"""An orderer's channel participation REST API, over mutual TLS (Fabric: orderer/common/channelparticipation)."""

from __future__ import annotations

import json
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self
from urllib.parse import quote

import aiohttp
from fabric_protos.common import common_pb2
from google.protobuf.message import DecodeError

from fabric_admin.errors import DeadlineExceeded, IdentityError, NotOffered, ParticipationError, TransportError

if TYPE_CHECKING:
    from types import TracebackType

_CHANNELS: Final = "/participation/v1/channels"
_LOWEST_FAILURE: Final = 400
_NOT_ALLOWED: Final = 405
_NOT_FOUND: Final = 404
_NO_ROUTE: Final = "404 page not found"
"""What Go's router answers where the orderer serves nothing."""


@dataclass(frozen=True, slots=True)
class ChannelInfo:
    """An orderer's part in a channel: relation consenter or follower; status active, onboarding, inactive or failed."""

    name: str
    relation: str
    status: str
    height: int


class Participation:
    """Calls to one orderer's admin listener at `url`; certificates and key are PEM bytes.

    Every call raises ParticipationError with the HTTP status and the orderer's text, TransportError, DeadlineExceeded.
    Constructing raises IdentityError when the TLS material cannot be read. Close it after use.
    """

    __slots__ = ("_session", "_url")

    def __init__(self, url: str, tls_ca: bytes, client_certificate: bytes, client_key: bytes) -> None:
        self._url = url.rstrip("/")
        context = _ssl_context(self._url, tls_ca, client_certificate, client_key)
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the HTTP connections."""
        await self._session.close()

    async def list(self, *, timeout_seconds: float = 10.0) -> tuple[str, ...]:
        """Return the channels the orderer takes part in, sorted, those being removed included."""
        answer = await self._request("GET", _CHANNELS, timeout_seconds)
        channels = _member(answer, "channels")
        names = [_text(channel, "name") for channel in channels] if isinstance(channels, list) else []
        return tuple(sorted(names))

    async def info(self, channel: str, *, timeout_seconds: float = 10.0) -> ChannelInfo:
        """Return the orderer's part in a channel; ParticipationError 404 when it has none."""
        return _read_info(await self._request("GET", f"{_CHANNELS}/{quote(channel, safe='')}", timeout_seconds))

    async def join(self, block: common_pb2.Block, *, timeout_seconds: float = 30.0) -> ChannelInfo:
        """Make the orderer join the channel of a configuration block; ParticipationError 405 when it has already."""
        form = aiohttp.FormData()
        form.add_field("config-block", block.SerializeToString(), filename="config.block")
        return _read_info(await self._request("POST", _CHANNELS, timeout_seconds, form))

    async def remove(self, channel: str, *, timeout_seconds: float = 30.0) -> None:
        """Start removing a channel from the orderer; it is gone once `info` answers 404."""
        await self._request("DELETE", f"{_CHANNELS}/{quote(channel, safe='')}", timeout_seconds)

    async def update(
        self, channel: str, envelope: common_pb2.Envelope, *, timeout_seconds: float = 30.0
    ) -> ChannelInfo:
        """Hand in a CONFIG_UPDATE envelope for ``channel``; raises NotOffered before Fabric 3.1.2.

        The height in the answer may still be the old one. Asks for the channel first: orderers up to 3.1.5 lock
        themselves up over an update of one they do not have.
        """
        await self.info(channel, timeout_seconds=timeout_seconds)
        form = aiohttp.FormData()
        form.add_field("config-update-envelope", envelope.SerializeToString(), filename="config_update.pb")
        try:
            return _read_info(await self._request("PUT", _CHANNELS, timeout_seconds, form))
        except ParticipationError as exc:
            if (exc.status, exc.message) == (_NOT_ALLOWED, "invalid request method: PUT"):
                raise NotOffered("config updates over channel participation", "3.1.2", "broadcast them") from exc
            raise

    async def block(
        self, channel: str, number: int | Literal["newest", "oldest", "config"], *, timeout_seconds: float = 30.0
    ) -> common_pb2.Block:
        """Return one block; ParticipationError 404 when there is none, NotOffered before Fabric 3.1.2."""
        path = f"{_CHANNELS}/{quote(channel, safe='')}/blocks/{number}"
        try:
            body = await self._exchange("GET", path, timeout_seconds)
        except ParticipationError as exc:
            if (exc.status, exc.message) == (_NOT_FOUND, _NO_ROUTE):
                raise NotOffered("blocks over channel participation", "3.1.2", "fetch them with Orderer") from exc
            raise
        try:
            return common_pb2.Block.FromString(body)
        except DecodeError as exc:
            raise ParticipationError(200, "the answer is no block") from exc

    async def _request(
        self, method: str, path: str, timeout_seconds: float, form: aiohttp.FormData | None = None
    ) -> object:
        body = await self._exchange(method, path, timeout_seconds, form)
        return _parse(body) if body else None

    async def _exchange(
        self, method: str, path: str, timeout_seconds: float, form: aiohttp.FormData | None = None
    ) -> bytes:
        timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        try:
            async with self._session.request(method, self._url + path, data=form, timeout=timeout) as response:
                body = await response.read()
        except TimeoutError as exc:
            raise DeadlineExceeded(self._url, f"no answer within {timeout_seconds:g} s") from exc
        except aiohttp.ClientError as exc:
            raise TransportError(self._url, str(exc)) from exc
        if response.status >= _LOWEST_FAILURE:
            raise ParticipationError(response.status, _error_text(body))
        return body


def _ssl_context(url: str, tls_ca: bytes, client_certificate: bytes, client_key: bytes) -> ssl.SSLContext:
    """Build the TLS context; `ssl` reads key pairs from files only, so they touch a private file for a moment."""
    try:
        context = ssl.create_default_context(cadata=tls_ca.decode("ascii"))
        with tempfile.TemporaryDirectory(prefix="fabric-admin-") as directory:
            pair = Path(directory) / "client.pem"
            pair.touch(mode=0o600)
            pair.write_bytes(client_certificate.rstrip() + b"\n" + client_key)
            context.load_cert_chain(pair)
    except (ssl.SSLError, UnicodeDecodeError, ValueError) as exc:
        raise IdentityError(f"{url}: the TLS material for channel participation cannot be read: {exc}") from exc
    return context


def _read_info(answer: object) -> ChannelInfo:
    height = _member(answer, "height")
    if not isinstance(height, int):
        raise ParticipationError(200, "the answer has no channel height")
    return ChannelInfo(_text(answer, "name"), _text(answer, "consensusRelation"), _text(answer, "status"), height)


def _text(answer: object, name: str) -> str:
    value = _member(answer, name)
    if not isinstance(value, str):
        raise ParticipationError(200, f"the answer has no {name}")
    return value


def _member(answer: object, name: str) -> object:
    return answer.get(name) if isinstance(answer, dict) else None


def _parse(body: bytes) -> object:
    try:
        parsed: object = json.loads(body)
    except ValueError as exc:
        raise ParticipationError(200, "the answer is not JSON") from exc
    return parsed


def _error_text(body: bytes) -> str:
    """Return the orderer's text; some 3.1 answers hold the JSON error twice, so only the first object is read."""
    text = body.decode("utf-8", "replace")
    try:
        first, _ = json.JSONDecoder().raw_decode(text)
    except ValueError:
        return text.strip()
    return str(_member(first, "error") or text.strip())
