"""What an admin sets over HTTP. It stands over the configuration, and is kept in the database."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """All of them; None where nothing was set, so that the configuration or the default counts.

    `cdr_days`, `recording_days` and `export_days` are how long finished calls, recordings and exports are kept.
    `call_record_toggle` says whether `*26` turns a user's flags, `record_toggle` whether `*3` records a call.
    """

    cdr_days: int | None = None
    recording_days: int | None = None
    export_days: int | None = None
    call_record_toggle: bool = True
    record_toggle: bool = True
