"""features.conf: who else acts on the keys that toggle a recording."""

from collections.abc import Iterator

from bridge.core.presses import TOGGLE
from bridge.doctor.findings import Finding, failed, ok, unknown, warning
from bridge.doctor.manager_user import Categories

_CODE = "asterisk-features"
_RELOAD = "then `asterisk -rx 'module reload features'`"
_MONITORS = ("automixmon", "automon")
_IN_GENERAL = ("atxferabort", "atxfercomplete", "atxferthreeway", "atxferswap", "pickupexten")
_NO_AUTOMON_SINCE = 21
_WHILE = " for who transfers, while he asks back"
_THREE_WAY = "*3"
"""What Asterisk gives `atxferthreeway` where nothing is said."""


def features_finding(
    features: Categories | str, major: int | None, dynamic: str | None = None, *, dtmf: bool
) -> Finding:
    """What features.conf (or why it could not be read) means for the record key; `dtmf` as in the configuration.

    `dynamic` is the global variable DYNAMIC_FEATURES, `major` Asterisk's version, each None where it is not known.
    Since 21 `automon` makes it refuse the whole file (measured on 22.10: no feature works then, also none of
    [applicationmap]).
    """
    if isinstance(features, str):
        return unknown(_CODE, f"features.conf: {features}", f"look there that {TOGGLE} is given to nothing else")
    ours, taken = _ours(features), _taken(features)
    if "automon" in taken and major is not None and major >= _NO_AUTOMON_SINCE:
        return failed(
            _CODE,
            f"Asterisk {major} knows no `automon` and refuses all of features.conf for it: no key works, ours neither",
            f"in features.conf remove automon, {_RELOAD}",
            conflicts=["automon"],
        )
    key = ours or (TOGGLE if dtmf else None)
    stops = [name for name in _MONITORS if name in taken]
    if key is None:
        words = "no key toggles a recording here"
        return _monitors(stops, words) or ok(_CODE, words)
    how = f"features.conf has {ours}" if ours is not None else f"`dtmf: true` reads {key}"
    if ours is not None and dynamic is not None and _name_of_ours(features) not in dynamic.split("#"):
        how += f" (for calls whose dialplan sets DYNAMIC_FEATURES itself: the global one is {dynamic or 'empty'})"
    same = [name for name, keys in taken.items() if keys == key]
    if dtmf and ours is None and set(same) & set(_MONITORS):
        return failed(
            _CODE,
            f"{key} is {', '.join(same)} in features.conf, too: each press also starts or stops another MixMonitor, "
            "and that stops the newest one, ours",
            f"in features.conf remove {' and '.join(same)}, {_RELOAD}",
            conflicts=same,
        )
    if same:
        only = same == ["atxferthreeway"]
        return warning(
            _CODE,
            f"{how}; {key} is given to {', '.join(same)}, too: one of the two does not work{_WHILE if only else ''}",
            f"in features.conf give {', '.join(same)} another key, like `{same[0]} = *5`, {_RELOAD}",
            conflicts=same,
        )
    if dtmf and ours is not None:
        return warning(
            _CODE,
            f"`dtmf: true` is set, though features.conf has the key {ours}: recbridge reads every key that anybody "
            "presses for nothing",
            "remove `dtmf: true` from the configuration and `dtmf` from the manager user's `read`, unless conferences "
            "need it",
        )
    return _monitors(stops, how) or ok(_CODE, f"{how}, and gives it to nothing else")


def _monitors(stops: list[str], words: str) -> Finding | None:
    if not stops:
        return None
    return warning(
        _CODE,
        f"{words}; {', '.join(stops)} can stop recbridge's MixMonitor where a Dial allows it (x, X, w, W): the newest "
        "one ends, and the next section begins without some words",
        f"in features.conf remove {' and '.join(stops)}, {_RELOAD}",
        conflicts=stops,
    )


def _ours(features: Categories) -> str | None:
    """The keys of our feature."""
    return next((value.partition(",")[0].strip() for _, value in _toggles(features)), None)


def _name_of_ours(features: Categories) -> str:
    return next((name.strip() for name, _ in _toggles(features)), "")


def _toggles(features: Categories) -> Iterator[tuple[str, str]]:
    for category, lines in features:
        if category == "applicationmap":
            yield from ((name, value) for name, value in lines if _is_toggle(value))


def _is_toggle(value: str) -> bool:
    return "recordtoggle" in value.lower() and "userevent" in value.lower()


def _taken(features: Categories) -> dict[str, str]:
    """By feature, the keys of all that is not ours."""
    taken = {"atxferthreeway": _THREE_WAY}
    for category, lines in features:
        for key, value in lines:
            name, keys = key.strip().lower(), value.partition(",")[0].strip()
            if category == "featuremap" or (category == "general" and name in _IN_GENERAL):
                taken[name] = keys
            elif category == "applicationmap" and not _is_toggle(value):
                taken[key.strip()] = keys
    return {name: keys for name, keys in taken.items() if keys}
