//! All later messages of a worker: reports and offers.

use super::{attempt_id, frame, missing, v1_frame};
use crate::v1::{self, exited::How, report::Report as What};
use domain::{AttemptId, Error, Exit, Offer, Progress, Report, ReportKind, Result, Tail, Totals, UnixMillis, limits};
use std::time::Duration;

/// Reads an update.
///
/// # Errors
/// [`domain::Kind::Invalid`], naming the field; also for results, tails and messages over their limits.
pub fn update(wire: v1::WorkerUpdate) -> Result<(Vec<Report>, Option<Offer>)> {
    let v1::WorkerUpdate { reports, offer } = wire;
    if reports.len() > limits::REPORTS {
        return Err(Error::field("reports", format!("has over {} entries", limits::REPORTS)));
    }
    let offer = offer.map(|o| {
        let v1::Offer { starts, prefetch } = o;
        Offer { starts, prefetch }
    });
    Ok((reports.into_iter().map(report).collect::<Result<_>>()?, offer))
}

/// An update as it travels.
pub fn v1_update(reports: Vec<Report>, offer: Option<Offer>, at: UnixMillis) -> v1::WorkerUpdate {
    let offer = offer.map(|Offer { starts, prefetch }| v1::Offer { starts, prefetch });
    v1::WorkerUpdate { reports: reports.into_iter().map(|r| v1_report(r, at)).collect(), offer }
}

fn report(wire: v1::Report) -> Result<Report> {
    let v1::Report { number, task_id, attempt, report } = wire;
    if number == 0 {
        return Err(Error::field("number", "must be at least 1"));
    }
    let attempt = attempt_id(&task_id, attempt)?;
    let kind = match report.ok_or_else(|| missing("report"))? {
        What::Started(v1::Started { at_ms: _ }) => ReportKind::Started,
        What::Progressed(progressed) => ReportKind::Progressed(progress(progressed)?),
        What::Exited(wire) => exited(attempt, wire)?,
        What::Refused(v1::Refused { reason }) => ReportKind::Refused(cut(reason)),
        What::Recalled(v1::Recalled {}) => ReportKind::Recalled,
    };
    Ok(Report { number, attempt, kind })
}

/// Times are for people who read the traffic: the scheduler stamps what it commits with its own clock (GUARANTEES G10).
fn v1_report(report: Report, at: UnixMillis) -> v1::Report {
    let Report { number, attempt: AttemptId { task, no }, kind } = report;
    let at_ms = at.0;
    let what = match kind {
        ReportKind::Started => What::Started(v1::Started { at_ms }),
        ReportKind::Progressed(Progress { percent, message }) => {
            What::Progressed(v1::Progressed { percent: percent.into(), message, at_ms })
        }
        ReportKind::Exited { exit, totals, tail, result, run_us, tree_gone } => What::Exited(v1::Exited {
            how: Some(how(exit)),
            at_ms,
            totals: Some(totals.into()),
            tail: tail.0.into_iter().map(v1_frame).collect(),
            result,
            run_us,
            tree_gone,
        }),
        ReportKind::Refused(reason) => What::Refused(v1::Refused { reason }),
        ReportKind::Recalled => What::Recalled(v1::Recalled {}),
        ReportKind::Lost => What::Exited(v1::Exited { how: Some(How::Lost(true)), at_ms, ..v1::Exited::default() }),
    };
    v1::Report { number, task_id: task.to_string(), attempt: no.0, report: Some(what) }
}

fn progress(wire: v1::Progressed) -> Result<Progress> {
    let v1::Progressed { percent, message, at_ms: _ } = wire;
    let percent = u8::try_from(percent).ok().filter(|p| *p <= 100);
    let percent = percent.ok_or_else(|| Error::field("percent", "must be 0 to 100"))?;
    if message.chars().count() > limits::MESSAGE_CHARS {
        return Err(Error::field("message", format!("is over {} characters", limits::MESSAGE_CHARS)));
    }
    Ok(Progress { percent, message })
}

/// What people read, and everybody keeps: no longer than that.
fn cut(mut reason: String) -> String {
    if reason.len() > limits::REASON_BYTES {
        reason.truncate(reason.floor_char_boundary(limits::REASON_BYTES));
        reason.push('…');
    }
    reason
}

fn exited(attempt: AttemptId, wire: v1::Exited) -> Result<ReportKind> {
    let v1::Exited { at_ms: _, totals, tail, result, run_us, tree_gone, how } = wire;
    let exit = match how.ok_or_else(|| missing("how"))? {
        How::Code(code) => Exit::Code(code),
        How::Signal(signal) if (1..=127).contains(&signal) => Exit::Signal(signal),
        How::Signal(_) => return Err(Error::field("signal", "must be 1 to 127")),
        How::TimedOutMs(ms) => {
            let ms = u64::try_from(ms).map_err(|_| Error::field("timed_out_ms", "must not be negative"))?;
            Exit::TimedOut(Duration::from_millis(ms))
        }
        How::NotStarted(why) => Exit::NotStarted(cut(why)),
        How::Killed(_) => Exit::Killed,
        How::HandlerError(why) => Exit::HandlerError(cut(why)),
        How::Lost(_) => return Ok(ReportKind::Lost),
    };
    if result.len() > limits::RESULT_BYTES {
        return Err(Error::field("result", format!("is over {} bytes", limits::RESULT_BYTES)));
    }
    if tail.iter().map(|f| f.data.len()).sum::<usize>() > limits::TAIL_BYTES {
        return Err(Error::field("tail", format!("is over {} bytes", limits::TAIL_BYTES)));
    }
    let tail = Tail(tail.into_iter().map(frame).collect::<Result<_>>()?);
    // They are stored as the output of whomever they name.
    if tail.0.iter().any(|frame| frame.attempt != attempt) {
        return Err(Error::field("tail", "must be of the report's own attempt"));
    }
    let totals = totals.map_or_else(Totals::default, Totals::from);
    Ok(ReportKind::Exited { exit, totals, tail, result, run_us, tree_gone })
}

fn how(exit: Exit) -> How {
    match exit {
        Exit::Code(code) => How::Code(code),
        Exit::Signal(signal) => How::Signal(signal),
        Exit::TimedOut(limit) => How::TimedOutMs(i64::try_from(limit.as_millis()).unwrap_or(i64::MAX)),
        Exit::NotStarted(why) => How::NotStarted(why),
        Exit::Killed => How::Killed(true),
        Exit::HandlerError(why) => How::HandlerError(why),
    }
}
