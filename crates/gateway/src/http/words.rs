//! The words of this surface for states and lengths of time, which are older than ours (CONTRACT 5).

use super::refusal::Refusal;
use domain::limits;
use wire::v1::TaskStatus;

/// Statuses and their words, in the order of a task's life.
const STATUSES: [(TaskStatus, &str); 7] = [
    (TaskStatus::Pending, "pending"),
    (TaskStatus::Dispatched, "sent"),
    (TaskStatus::Running, "in_progress"),
    (TaskStatus::Completed, "completed"),
    (TaskStatus::Failed, "failed"),
    (TaskStatus::TimedOut, "timeout"),
    (TaskStatus::Cancelled, "cancelled"),
];

/// The word of a status; empty for a number that is none.
pub(super) fn status(number: i32) -> &'static str {
    STATUSES.iter().find(|(status, _)| i32::from(*status) == number).map_or("", |(_, word)| word)
}

/// The statuses that a filter names: words with commas between them.
pub(super) fn statuses(text: &str) -> Result<Vec<i32>, Refusal> {
    let number = |word: &str| {
        let found = STATUSES.iter().find(|(_, known)| *known == word).map(|(status, _)| i32::from(*status));
        found.ok_or_else(|| {
            let known: Vec<_> = STATUSES.iter().map(|(_, word)| *word).collect();
            Refusal::wrong(format!("status: `{word}` is none of {}", known.join(", ")))
        })
    };
    text.split(',').filter(|word| !word.is_empty()).map(number).collect()
}

/// The word of an end in a stream of events; that of what isn't an end is always the same, so that an event never changes.
pub(super) fn event_status(status: TaskStatus, last: bool) -> &'static str {
    if !last {
        return "IN_PROGRESS";
    }
    match status {
        TaskStatus::Completed => "SUCCESS",
        TaskStatus::TimedOut => "TIMEOUT",
        TaskStatus::Cancelled => "CANCELLED",
        TaskStatus::Failed
        | TaskStatus::Unspecified
        | TaskStatus::Pending
        | TaskStatus::Dispatched
        | TaskStatus::Running => "FAILURE",
    }
}

/// How long an attempt may run, in the form of Go's `Duration`: `5m0s`, `1h30m0s`, `1.5s`, `300ms`; `0s` is no limit.
pub(super) fn timeout(secs: i32, ms: Option<i64>) -> String {
    let default = i64::try_from(limits::TIMEOUT_DEFAULT.as_millis()).unwrap_or(i64::MAX);
    let ms = match (ms, secs) {
        (Some(ms), _) => ms,
        (None, 0) => default,
        (None, secs) => i64::from(secs) * 1_000,
    };
    go_duration(u64::try_from(ms).unwrap_or(0))
}

fn go_duration(ms: u64) -> String {
    if ms == 0 {
        return "0s".into();
    }
    if ms < 1_000 {
        return format!("{ms}ms");
    }
    let (hours, minutes, rest) = (ms / 3_600_000, ms / 60_000 % 60, ms % 60_000);
    let seconds = match rest % 1_000 {
        0 => (rest / 1_000).to_string(),
        part => format!("{}.{part:03}", rest / 1_000).trim_end_matches('0').to_owned(),
    };
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        (_, _) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// A moment as RFC 3339 has it, in UTC.
pub(super) fn time(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default().to_string()
}

/// As [`time`]; 0 stands for "not yet".
pub(super) fn some_time(unix_ms: i64) -> Option<String> {
    (unix_ms != 0).then(|| time(unix_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_written_as_go_writes_them() {
        let table = [
            (0, "0s"),
            (1, "1ms"),
            (300, "300ms"),
            (1_000, "1s"),
            (1_500, "1.5s"),
            (1_050, "1.05s"),
            (60_000, "1m0s"),
            (300_000, "5m0s"),
            (90_500, "1m30.5s"),
            (3_600_000, "1h0m0s"),
            (5_400_000, "1h30m0s"),
            (2_592_000_000, "720h0m0s"),
        ];
        for (ms, text) in table {
            assert_eq!(go_duration(ms), text);
        }
        assert_eq!((timeout(0, None).as_str(), timeout(300, None).as_str()), ("5m0s", "5m0s"));
        assert_eq!((timeout(1, Some(250)).as_str(), timeout(0, Some(0)).as_str()), ("250ms", "0s"));
    }

    #[test]
    fn every_status_has_a_word_that_leads_back() {
        for (number, word) in (1..=7).map(|number| (number, status(number))) {
            assert_eq!(statuses(word).unwrap(), [number], "{word}");
        }
        assert_eq!(statuses("pending,sent").unwrap().len(), 2);
        assert!(statuses("").unwrap().is_empty() && statuses("running").is_err());
    }

    #[test]
    fn moments_are_in_utc() {
        assert_eq!(time(1_753_660_800_123), "2025-07-28T00:00:00.123Z");
    }
}
