"""Every flow, by kind, and what their dial plans add to the two Asterisks' configuration: all of it in one."""

from importlib import import_module
from itertools import groupby
from pathlib import Path
from pkgutil import iter_modules

from tests.flows.flow import FLOWS, Flow, merged
from tests.network.chroot import SUITE

_NO_FLOWS = {"catalogue", "conftest", "flow", "lanes", "made", "oracle", "rules", "together", "truth", "verdict"}
RELEASE = {"sid": 22, "bullseye": 16}[SUITE]

_KINDS = sorted(
    module.name
    for module in iter_modules([str(Path(__file__).parent)])
    if module.name not in _NO_FLOWS and not module.name.startswith("test_")
)
_MODULES = [import_module(f"tests.flows.{kind}") for kind in _KINDS]


# While Asterisk plays these to a leg after a transfer (0.3 to 0.4 s), its voices reach nobody and it hears nobody
# (measured), and no event says so.
_NO_SOUNDS = {"features.conf": "[general]\nxfersound =\nxferfailsound =\n"}


def _all(name: str) -> dict[str, str]:
    extras = {id(extra): extra for module in _MODULES if (extra := getattr(module, name, None))}
    return merged(*extras.values())  # each once, though two modules may have the same


PBX_EXTRA, PHONES_EXTRA = merged(_all("PBX_EXTRA"), _NO_SOUNDS), _all("PHONES_EXTRA")


def by_kind(release: int = RELEASE) -> dict[str, list[Flow]]:
    """The flows for this release of Asterisk."""
    flows = sorted((flow for flow in FLOWS if release in flow.releases), key=lambda flow: flow.kind)
    return {kind: list(group) for kind, group in groupby(flows, key=lambda flow: flow.kind)}
