"""recbridge: call recording beside Asterisk."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("recbridge")
except PackageNotFoundError:  # run from a tree that was never installed
    __version__ = "0+unknown"
