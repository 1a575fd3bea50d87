//! A place in a trace (W3C Trace Context): passed on from client to task. Nothing is ever decided by it.

use crate::{AttemptId, Error, Result, TaskId};
use std::{fmt, str::FromStr};

/// The flag of traces that are recorded.
const SAMPLED: u8 = 1;
/// Characters of a `tracestate`: as many as W3C wants everybody to pass on.
const STATE_CHARS: usize = 512;

/// A span of a trace, as `traceparent` names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceContext {
    /// The trace; not all 0.
    pub trace: [u8; 16],
    /// The span; not all 0.
    pub span: [u8; 8],
    /// Bit 0: recorded.
    pub flags: u8,
}

impl TraceContext {
    /// What an attempt of a task of which nobody said a trace finds in its environment: a trace called like the task, not
    /// recorded.
    pub fn of(attempt: AttemptId) -> Self {
        let AttemptId { task, no } = attempt;
        let trace = Self::trace_of(task);
        let low = u64::from_be_bytes(std::array::from_fn(|i| trace[8 + i]));
        let member = task.index().map_or(0, |index| u64::from(index) + 1);
        // Any number that differs from attempt to attempt and isn't 0.
        let span = low.wrapping_add(u64::from(no.0) << 1).wrapping_add(member << 32) | 1;
        Self { trace, span: span.to_be_bytes(), flags: 0 }
    }

    /// The trace of a task of which nobody said one; of an array's members, the array's.
    pub fn trace_of(task: TaskId) -> [u8; 16] {
        task.uuid_bytes()
    }

    /// Whether its spans are recorded.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The trace's id, as tools show it.
    pub fn trace_id(&self) -> String {
        hex(&self.trace)
    }

    /// The span's id, as tools show it.
    pub fn span_id(&self) -> String {
        hex(&self.span)
    }
}

/// Checks a `tracestate`: entries of the form `key=value` with commas between them. What they mean is for those who wrote them.
///
/// # Errors
/// [`crate::Kind::Invalid`]: it is none.
pub fn check_trace_state(text: &str) -> Result<()> {
    let wrong = |what: &str| Err(Error::field("tracestate", what));
    if text.is_empty() {
        return Ok(());
    }
    if text.len() > STATE_CHARS {
        return wrong(&format!("is over {STATE_CHARS} characters"));
    }
    if !text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        return wrong("must be printable ASCII");
    }
    let entry = |entry: &str| entry.is_empty() || entry.split_once('=').is_some_and(|(key, _)| !key.is_empty());
    if text.split(',').map(str::trim).all(entry) { Ok(()) } else { wrong("is not of the form key=value,key=value") }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| DIGITS[usize::from(digit)]).collect()
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace_id(), self.span_id(), self.flags)
    }
}

impl FromStr for TraceContext {
    type Err = Error;

    /// Reads a `traceparent`, of a later version too.
    fn from_str(text: &str) -> Result<Self> {
        let wrong =
            || Error::field("traceparent", "is not of the form 00-<32 hex digits>-<16 hex digits>-<2 hex digits>");
        let mut parts = text.splitn(5, '-');
        let mut next = || parts.next().ok_or_else(wrong);
        let (version, trace, span, flags) = (next()?, next()?, next()?, next()?);
        let [version] = unhex(version).ok_or_else(wrong)?;
        let found = Self {
            trace: unhex(trace).ok_or_else(wrong)?,
            span: unhex(span).ok_or_else(wrong)?,
            flags: unhex::<1>(flags).ok_or_else(wrong)?[0],
        };
        // More may follow only in versions that aren't known yet.
        let later = parts.next().is_some();
        let valid = version != 0xff && !(later && version == 0) && found.trace != [0; 16] && found.span != [0; 8];
        if valid { Ok(found) } else { Err(wrong()) }
    }
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| if c.is_ascii_uppercase() { None } else { c.to_digit(16) })
        .map(|digit| digit.and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    if digits.len() != 2 * N {
        return None;
    }
    Some(std::array::from_fn(|i| digits[2 * i] << 4 | digits[2 * i + 1]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AttemptNo;

    #[test]
    fn what_is_read_is_written_again() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let found: TraceContext = text.parse().unwrap();
        assert_eq!((found.to_string().as_str(), found.is_sampled()), (text, true));
        let later: TraceContext = text.replacen("00", "cc", 1).parse::<TraceContext>().unwrap();
        assert_eq!(later, found);
        assert_eq!(format!("cc{}-what-comes", &text[2..]).parse(), Ok(found));
    }

    #[test]
    fn what_is_none_is_refused() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let zero = |from: usize, to: usize| format!("{}{}{}", &good[..from], "0".repeat(to - from), &good[to..]);
        let bad = [
            String::new(),
            "garbage".into(),
            good.to_uppercase(),
            format!("{good}-more"),
            good.replacen("00", "ff", 1),
            zero(3, 35),
            zero(36, 52),
            good[..54].into(),
            good.replace('f', "ß"),
        ];
        for text in bad {
            let error = text.parse::<TraceContext>().unwrap_err();
            assert!(error.text().starts_with("traceparent: "), "{text}: {error}");
        }
    }

    #[test]
    fn a_state_is_a_list_of_keys_and_values() {
        let longest = format!("k={}", "v".repeat(STATE_CHARS - 2));
        for good in ["", "a=1", "rojo=00f067aa0ba902b7, congo=t61rc=WkgMzE,,t@v=", &longest] {
            assert_eq!(check_trace_state(good), Ok(()), "{good}");
        }
        for bad in ["a", "=1", "a=1,b", "a=\n", "ß=1", &format!("{longest}v")] {
            let error = check_trace_state(bad).unwrap_err();
            assert!(error.text().starts_with("tracestate: "), "{bad}: {error}");
        }
    }

    #[test]
    fn each_attempt_has_a_span_of_its_own_in_the_trace_of_its_task() {
        let task = TaskId::from_parts(1_700_000_000_000, 0, 1, u64::MAX);
        let all: Vec<_> = [task, task.member(0), task.member(1), task.member(u32::MAX - 1)]
            .into_iter()
            .flat_map(|task| (1..=3).map(move |no| TraceContext::of(AttemptId { task, no: AttemptNo(no) })))
            .collect();
        for (i, context) in all.iter().enumerate() {
            assert_eq!((context.trace, context.is_sampled()), (task.uuid_bytes(), false));
            assert_eq!(context.to_string().parse(), Ok(*context));
            assert!(all[..i].iter().all(|other| other.span != context.span), "{context}");
        }
    }
}
