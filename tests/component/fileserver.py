"""A real https server of files and of a git repository, with a certificate of a CA of its own."""

from __future__ import annotations

import asyncio
import datetime
import io
import ipaddress
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from dulwich.objects import Blob, Commit, ObjectID, Tree
from dulwich.refs import Ref
from dulwich.repo import MemoryRepo
from dulwich.server import BackendRepo, DictBackend
from dulwich.web import make_wsgi_chain

if TYPE_CHECKING:
    from pathlib import Path

CHUNK = 64


@dataclass(slots=True)
class FileServer:
    """Serves `files` by path, and the repository at `/git/repo.git`; notes what was asked of it."""

    port: int
    ca: bytes
    repository: MemoryRepo
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    breaks_after: dict[str, list[int]] = field(default_factory=dict)
    """Bytes after which each next answer for a path breaks off."""
    password: str = ""
    requests: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        return f"https://{self.host}{path}"

    def commit(self, files: Mapping[str, tuple[bytes, int]], *, parent: str = "") -> str:
        """Commit files (content and git mode) on the main branch; return the commit ID."""
        store = self.repository.object_store
        root = _write_tree(store, files)
        made = Commit()
        made.tree, made.message = root, b"a commit"
        made.author = made.committer = b"somebody <somebody@example.com>"
        made.author_time = made.commit_time = 1_700_000_000
        made.author_timezone = made.commit_timezone = 0
        made.parents = [ObjectID(parent.encode())] if parent else []
        store.add_object(made)
        self.repository.refs[Ref(b"refs/heads/main")] = made.id
        return bytes(made.id).decode()

    @classmethod
    @asynccontextmanager
    async def run(cls, folder: Path, port: int = 0) -> AsyncIterator[FileServer]:
        ca, certificate, key = _certificates()
        (folder / "server.pem").write_bytes(certificate + key)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(folder / "server.pem")
        server = cls(port, ca, MemoryRepo())
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/git/{rest:.*}", server._serve_git)
        app.router.add_get("/{path:.*}", server._serve_file)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls)
        await site.start()
        server.port = runner.addresses[0][1]
        try:
            yield server
        finally:
            await runner.cleanup()

    async def _serve_file(self, request: web.Request) -> web.StreamResponse:
        self._note(request)
        if self.password and request.headers.get("Authorization") != self.password:
            raise web.HTTPUnauthorized
        if request.path in self.redirects:
            return web.Response(status=302, headers={"Location": self.redirects[request.path]})
        content = self.files.get(request.path)
        if content is None:
            raise web.HTTPNotFound
        start = int(request.headers["Range"].removeprefix("bytes=").rstrip("-")) if "Range" in request.headers else 0
        self.ranges.append(request.headers.get("Range", ""))
        if start >= len(content) > 0:
            raise web.HTTPRequestRangeNotSatisfiable
        response = web.StreamResponse(status=206 if start else 200)
        response.content_length = len(content) - start
        if start:
            response.headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        await response.prepare(request)
        breaks = self.breaks_after.get(request.path)
        sent = content[start:]
        if breaks:
            await response.write(sent[: breaks.pop(0)])
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(sent)
        return response

    async def _serve_git(self, request: web.Request) -> web.Response:
        self._note(request)
        if self.password and request.headers.get("Authorization") != self.password:
            raise web.HTTPUnauthorized
        if request.path in self.redirects:
            return web.Response(
                status=302, headers={"Location": self.redirects[request.path] + "?" + request.query_string}
            )
        body = await request.read()
        return await asyncio.to_thread(self._run_wsgi, request, body)

    def _run_wsgi(self, request: web.Request, body: bytes) -> web.Response:
        repositories: dict[str, BackendRepo] = {"/repo.git": cast("BackendRepo", self.repository)}
        app = make_wsgi_chain(DictBackend(repositories))
        said: dict[str, Any] = {}

        def start(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
            del exc_info
            said.update(status=int(status.split(maxsplit=1)[0]), headers=headers)
            written = said.setdefault("written", [])
            return written.append

        environ = {
            "REQUEST_METHOD": request.method,
            "PATH_INFO": request.path.removeprefix("/git"),
            "QUERY_STRING": request.query_string,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            "wsgi.url_scheme": "https",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": str(self.port),
        }
        if "Git-Protocol" in request.headers:
            environ["HTTP_GIT_PROTOCOL"] = request.headers["Git-Protocol"]
        parts = list(app(environ, start))
        return web.Response(
            status=said["status"], headers=dict(said["headers"]), body=b"".join([*said["written"], *parts])
        )

    def _note(self, request: web.Request) -> None:
        self.requests.append(f"{request.method} {request.path}")
        self.authorizations.append(request.headers.get("Authorization", ""))


def _write_tree(store: Any, files: Mapping[str, tuple[bytes, int]]) -> ObjectID:
    tree = Tree()
    folders: dict[str, dict[str, tuple[bytes, int]]] = {}
    for path, (content, mode) in files.items():
        first, slash, rest = path.partition("/")
        if slash:
            folders.setdefault(first, {})[rest] = (content, mode)
        elif mode == 0o160000:
            tree.add(first.encode(), mode, ObjectID(b"1" * 40))
        else:
            blob = Blob.from_string(content)
            store.add_object(blob)
            tree.add(first.encode(), mode, blob.id)
    for name, inside in folders.items():
        tree.add(name.encode(), 0o40000, _write_tree(store, inside))
    store.add_object(tree)
    return tree.id


def _certificates() -> tuple[bytes, bytes, bytes]:
    """CA certificate, server certificate and server key as PEM."""
    now = datetime.datetime.now(datetime.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sources CA")])

    def build(subject: x509.Name, public: Any) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )

    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    ca = (
        build(issuer, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    server = (
        build(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sources")]), key.public_key())
        .add_extension(names, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return (
        ca.public_bytes(pem),
        server.public_bytes(pem),
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
