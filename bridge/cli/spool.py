"""The spool, for commands that need its files."""

from bridge.config import Config
from bridge.core.errors import MediaError
from bridge.storage.spool import Spool


def there(config: Config, else_: str = "") -> Spool:
    """The spool; `else_` is what else can be done without. Raises MediaError where its disk is not mounted."""
    spool = Spool(config.spool.local, str(config.spool.asterisk), state=config.database.with_name("spool.json"))
    if not config.spool.local.is_dir() or spool.unmounted():
        words = f"spool {config.spool.local} is missing: mount its disk, or correct spool.local{else_}"
        raise MediaError(words, reason="spool-missing")
    return spool
