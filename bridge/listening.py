"""The API's server: address and TLS as configured."""

import contextlib
import ssl
from collections.abc import AsyncIterator

from aiohttp import web

from bridge.api.app import runner
from bridge.config import HttpConfig
from bridge.core.errors import RecbridgeError


@contextlib.asynccontextmanager
async def listening(app: web.Application, config: HttpConfig) -> AsyncIterator[None]:
    """The API, while it lasts. Raises RecbridgeError where the address or the certificate cannot be had."""
    tls: ssl.SSLContext | None = None
    if config.tls is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            tls.load_cert_chain(config.tls.certificate, config.tls.key)
        except (OSError, ssl.SSLError) as error:
            raise RecbridgeError(
                f"http: tls: {error}: certificate and key have to be PEM files that we may read"
            ) from error
    serving = runner(app)
    await serving.setup()
    try:
        host, port = config.address
        try:
            await web.TCPSite(serving, host, port, ssl_context=tls).start()
        except OSError as error:
            words = f"http: listen: {config.listen}: {error.strerror}; is another recbridge running?"
            raise RecbridgeError(words) from error
        yield
    finally:
        await serving.cleanup()
