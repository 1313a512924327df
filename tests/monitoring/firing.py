"""For each alert series with which it fires, and such with which it does not, as promtool's unit tests write them.

`0+5x20` begins at 0 and grows by 5 each minute, 20 times; `_` is no sample.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """`fires` after `minutes`, `quiet` never in that time. Series are given without `instance`."""

    minutes: int
    fires: Mapping[str, str]
    quiet: Mapping[str, str]


def _buckets(name: str, fast: str, slow: str) -> Mapping[str, str]:
    """A histogram: up to 1 s `fast`, in all `slow`."""
    return {f"{name}_bucket{{le='0.2'}}": fast, f"{name}_bucket{{le='1.0'}}": fast, f"{name}_bucket{{le='5.0'}}": slow,
            f"{name}_bucket{{le='+Inf'}}": slow}  # fmt: skip


GIB = 2**30
CASES: Mapping[str, Case] = {
    "RecbridgeNotScraped": Case(3, {"up{job='recbridge'}": "0x10"}, {"up{job='recbridge'}": "1x10 0 1x10"}),
    "RecbridgeAbsent": Case(6, {"up{job='node'}": "1x10"}, {"up{job='recbridge'}": "0x10"}),
    "RecbridgeNotReady": Case(
        2,
        {"recbridge_ready": "0x10", "recbridge_not_ready{reason='spool-full'}": "1x10"},
        {"recbridge_ready": "1 0 1x10"},
    ),
    "RecbridgeAsteriskAway": Case(
        2,
        {"recbridge_asterisk_connected": "0x10", "recbridge_asterisk_state{state='unreachable'}": "1x10"},
        {"recbridge_asterisk_connected": "1x5 0 1x5"},
    ),
    "RecbridgeAsteriskUnsteady": Case(
        40, {"recbridge_asterisk_losses_total": "0+1x60"}, {"recbridge_asterisk_losses_total": "7x30 8x30"}
    ),
    "RecbridgeTalkNotRecorded": Case(
        8,
        {
            "recbridge_live_wanted_seconds_total{rule='1'}": "0+120x20",
            "recbridge_live_recorded_seconds_total{rule='1'}": "0+60x20",
        },
        {  # 20 talks at once, of which each begins to be recorded a little late
            "recbridge_live_wanted_seconds_total{rule='1'}": "0+1200x20",
            "recbridge_live_recorded_seconds_total{rule='1'}": "0+1170x20",
            # a queue is recorded before the talk
            "recbridge_live_wanted_seconds_total{rule='2'}": "0+60x20",
            "recbridge_live_recorded_seconds_total{rule='2'}": "0+90x20",
        },
    ),
    "RecbridgeSectionsLost": Case(
        5,
        {"recbridge_sections_ended_total{outcome='lost'}": "0 0 1x20"},
        {
            "recbridge_sections_ended_total{outcome='lost'}": "3x30",
            "recbridge_sections_ended_total{outcome='stored'}": "0+9x30",
        },
    ),
    "RecbridgeTalkMissing": Case(
        8,
        {"recbridge_ended_calls_missing_seconds_total{reason='asterisk-away'}": "0x5 42x20"},
        {
            "recbridge_ended_calls_missing_seconds_total{reason='paused'}": "0+60x20",
            "recbridge_ended_calls_missing_seconds_total{reason='no-rule'}": "0+60x20",
            "recbridge_ended_calls_missing_seconds_total{reason='failed'}": "42x20",
            "recbridge_ended_calls_missing_seconds_total{reason='lost'}": "0x5 0.5x20",
        },
    ),
    "RecbridgeSectionAlarms": Case(
        6,
        {"recbridge_section_alarms_total{alarm='file-gone'}": "0x3 1x20"},
        {"recbridge_section_alarms_total{alarm='file-gone'}": "2x20"},
    ),
    "RecbridgeStartsSlow": Case(
        15,
        _buckets("recbridge_start_from_talk_seconds", "0+90x30", "0+100x30"),
        _buckets("recbridge_start_from_talk_seconds", "0+1000x30", "0+1001x30"),
    ),
    "RecbridgeEventsLate": Case(
        8,
        {"recbridge_event_lag_seconds": "-3x20", "recbridge_events_total": "0+50x20"},
        {"recbridge_event_lag_seconds": "7x20", "recbridge_events_total": "50x20"},
    ),
    "RecbridgeQueueFills": Case(
        3,
        {"recbridge_waiting{queue='inbox'}": "6000x9", "recbridge_waiting_limit{queue='inbox'}": "10000x9"},
        {
            "recbridge_waiting{queue='inbox'}": "100 9000 100x9",
            "recbridge_waiting_limit{queue='inbox'}": "10000x9",
            "recbridge_waiting{queue='database'}": "6000x9",
            "recbridge_waiting_limit{queue='database'}": "200000x9",
        },
    ),
    "RecbridgeChangesLost": Case(1, {"recbridge_changes_lost_total": "5x5"}, {"recbridge_changes_lost_total": "0x5"}),
    "RecbridgeDatabaseTrouble": Case(
        3,
        {"recbridge_intents_bytes": "0 900x9", "recbridge_commit_failures_total": "0x9"},
        {"recbridge_intents_bytes": "0x9", "recbridge_commit_failures_total": "4x9"},
    ),
    "RecbridgeCommitsSlow": Case(
        21,
        _buckets("recbridge_commit_seconds", "0+90x30", "0+100x30"),
        _buckets("recbridge_commit_seconds", "0+10000x30", "0+10001x30"),
    ),
    "RecbridgeDiskFullSoon": Case(
        70,
        {"recbridge_spool_free_bytes": f"{100 * GIB}-{GIB // 2}x150"},
        {"recbridge_spool_free_bytes": f"{100 * GIB}-{GIB // 20}x150"},
    ),
    "RecbridgeDiskFullTomorrow": Case(
        1600,
        {"recbridge_spool_free_bytes": f"{3000 * GIB}-{GIB}x2000"},
        {"recbridge_spool_free_bytes": f"{3000 * GIB}-{GIB // 8}x2000"},
    ),
    "RecbridgeDiskLow": Case(
        6,
        {"recbridge_spool_free_bytes": f"{GIB}x20", "recbridge_spool_low_bytes": f"{2 * GIB}x20"},
        {"recbridge_spool_free_bytes": f"{3 * GIB}x20", "recbridge_spool_low_bytes": f"{2 * GIB}x20"},
    ),
    "RecbridgeHousekeepingBehind": Case(
        400,
        {"recbridge_start_time_seconds": "0x500"},
        {"recbridge_start_time_seconds": "0x500", "recbridge_housekeeping_done_timestamp_seconds": "0+60x500"},
    ),
    "RecbridgeWarning": Case(
        16, {"recbridge_warning{reason='retention-refused'}": "1x30"}, {"recbridge_warning{reason='spool-low'}": "1x30"}
    ),
    "RecbridgeWebhookDisabled": Case(
        1,
        {"recbridge_warning{reason='webhook-disabled'}": "1x5"},
        # by an admin
        {"recbridge_webhooks{state='disabled'}": "1x5", "recbridge_warning{reason='mail-not-taken'}": "1x5"},
    ),
    "RecbridgeWebhookBacklog": Case(
        16,
        {"recbridge_webhook_deliveries_waiting": "1001x30"},
        {"recbridge_webhook_deliveries_waiting": "1001x9 0x30", "recbridge_webhook_facts_behind": "4000x30"},
    ),
    "RecbridgeWebhookGivenUp": Case(
        5, {"recbridge_webhook_given_up_total": "0 0 1x9"}, {"recbridge_webhook_given_up_total": "4x9"}
    ),
    "RecbridgeExportsStuck": Case(
        90, {"recbridge_exports_oldest_seconds": "0+60x120"}, {"recbridge_exports_oldest_seconds": "0+60x50 0+60x50"}
    ),
    "RecbridgeMailsWait": Case(62, {"recbridge_mails_waiting": "3x90"}, {"recbridge_mails_waiting": "3x50 0 3x50"}),
    "RecbridgeMailGivenUp": Case(
        5, {"recbridge_mails_given_up_total": "0 0 1x9"}, {"recbridge_mails_given_up_total": "4x9"}
    ),
    "RecbridgeRestarts": Case(
        30,
        {"recbridge_start_time_seconds": "100x3 200x3 300x3 400x3 500x30"},
        {"recbridge_start_time_seconds": "100x3 200x3 300x60"},
    ),
    "RecbridgeEventLoopLag": Case(
        12,
        _buckets("recbridge_event_loop_lag_seconds", "0+230x30", "0+240x30"),
        _buckets("recbridge_event_loop_lag_seconds", "0+2400x30", "0+2401x30"),
    ),
    "RecbridgeRequestsFail": Case(
        21,
        {
            "recbridge_http_requests_total{status='2xx'}": "0+90x30",
            "recbridge_http_requests_total{status='5xx'}": "0+10x30",
        },
        {
            "recbridge_http_requests_total{status='2xx'}": "0+990x30",
            "recbridge_http_requests_total{status='4xx'}": "0+500x30",
            "recbridge_http_requests_total{status='5xx'}": "0+10x30",
        },
    ),
}
