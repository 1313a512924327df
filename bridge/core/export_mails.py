"""What the one who asked for an export is mailed when it is over."""

from typing import Final

from bridge.core.exports import Export, ExportStatus, Reason

_WHY: Final = {
    Reason.NO_SPACE.value: "there is no room for it on the server's disk.",
    Reason.DISK_ERROR.value: "the server's disk could not be written.",
    Reason.TIMEOUT.value: "a disk of the server did not answer in time.",
}

_ZIP: Final = "/download"
"""The end of a link to the zip itself; any other is to a page to sign in to."""
_HOW: Final = {
    True: "as the header X-Auth-Token, or, in a browser,\nas ?token=TOKEN behind the link",
    False: "sign in there with yours",
}


def words_of(export: Export) -> tuple[str, str]:
    """Subject and text of the mail for an export that is finished or has failed."""
    asked = f"{export.asked_at:%Y-%m-%d %H:%M} UTC"
    if export.status is not ExportStatus.FINISHED:
        why = _WHY.get(export.reason or "", "of a fault in recbridge.")
        text = f"The export of {export.recordings} recordings that you asked for at {asked} could not be made: {why}\n"
        return "Your export of recordings has failed", f"{text}\nPlease tell your administrator. Export {export.id}.\n"
    what = "1 recording" if export.recordings == 1 else f"{export.recordings} recordings"
    lines = [f"The {what} that you asked for at {asked} can be fetched here:", "", export.url]
    if export.missing:
        lines += ["", f"{export.missing} of them are missing: manifest.csv in the zip says which."]
    if export.expires_at is not None:
        until = f"{export.expires_at:%Y-%m-%d %H:%M} UTC"
        lines += ["", f"The link works until {until}, with a token alone: {_HOW[export.url.endswith(_ZIP)]}."]
    return "Your export of recordings is ready", "\n".join([*lines, ""])
