"""What tests of downloads share: a web server."""

from tests.web_server import web_server

__all__ = ["web_server"]
