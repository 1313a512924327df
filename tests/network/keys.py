"""A PBX whose phones have recbridge's keys, configured with the very text that `recbridge asterisk-conf` prints."""

from bridge.asterisk.snippets import extensions_conf, features_conf, manager_conf

KEYS_USER, KEYS_SECRET = "keys", "keys-secret"
"""A manager user who is told of keys, too."""

_MANAGER = manager_conf(KEYS_USER, KEYS_SECRET, dtmf=True)
PBX_EXTRA = {
    "manager.conf": _MANAGER[_MANAGER.index(f"[{KEYS_USER}]") :],
    "features.conf": features_conf(),
    "extensions.conf": extensions_conf() + "[internal]\ninclude => recbridge\n",
}
