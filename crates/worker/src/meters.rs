//! What /metrics says of this worker. Counted in the loop and handed over once a round: a counter's name is looked up
//! each time, which would cost more than a short task.

use domain::{Exit, ReportKind};
use session::{Effect, ToScheduler};
use std::collections::BTreeMap;

/// What has happened since the last round.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    started: u64,
    output_bytes: u64,
    finished: BTreeMap<&'static str, u64>,
    /// Seconds that attempts ran.
    runs: Vec<f64>,
}

impl Meters {
    /// Says what they mean, and how large this worker is. Not before the service records.
    pub fn begin(slots: u32) -> Self {
        metrics::describe_gauge!("baton_worker_slots", "Tasks that this worker runs at once");
        metrics::describe_gauge!("baton_worker_running", "Attempts that run");
        metrics::describe_counter!("baton_worker_started_total", "Attempts started");
        metrics::describe_counter!("baton_worker_finished_total", "Attempts ended, by outcome");
        metrics::describe_histogram!("baton_worker_run_seconds", "From an attempt's start to its end");
        metrics::describe_counter!("baton_worker_output_bytes_total", "Bytes of output that attempts wrote");
        metrics::counter!("baton_worker_started_total").increment(0);
        metrics::counter!("baton_worker_output_bytes_total").increment(0);
        metrics::gauge!("baton_worker_slots").set(slots);
        Self::default()
    }

    pub fn started(&mut self) {
        self.started += 1;
    }

    pub fn output(&mut self, bytes: usize) {
        self.output_bytes += bytes as u64;
    }

    pub fn exited(&mut self, exit: &Exit, run_us: u64) {
        let outcome = match exit {
            Exit::Code(0) => "completed",
            Exit::Code(_) | Exit::Signal(_) | Exit::HandlerError(_) => "failed",
            Exit::TimedOut(_) => "timed_out",
            Exit::NotStarted(_) => "not_started",
            Exit::Killed => "killed",
        };
        *self.finished.entry(outcome).or_default() += 1;
        if !matches!(exit, Exit::NotStarted(_)) {
            self.runs.push(run_us as f64 / 1e6);
        }
    }

    /// Ends that have no exit are seen where they are reported.
    pub fn effect(&mut self, effect: &Effect) {
        let Effect::Send(ToScheduler::Update { reports, offer: _ }) = effect else { return };
        for report in reports {
            let outcome = match &report.kind {
                ReportKind::Lost => "lost",
                ReportKind::Refused(_) => "refused",
                ReportKind::Recalled => "recalled",
                ReportKind::Started | ReportKind::Progressed(_) | ReportKind::Exited { .. } => continue,
            };
            *self.finished.entry(outcome).or_default() += 1;
        }
    }

    /// Hands over.
    pub fn flush(&mut self, running: u32) {
        metrics::gauge!("baton_worker_running").set(running);
        if self.started > 0 {
            metrics::counter!("baton_worker_started_total").increment(std::mem::take(&mut self.started));
        }
        if self.output_bytes > 0 {
            metrics::counter!("baton_worker_output_bytes_total").increment(std::mem::take(&mut self.output_bytes));
        }
        if !self.runs.is_empty() {
            let run = metrics::histogram!("baton_worker_run_seconds");
            self.runs.drain(..).for_each(|seconds| run.record(seconds));
        }
        for (outcome, count) in std::mem::take(&mut self.finished) {
            metrics::counter!("baton_worker_finished_total", "outcome" => outcome).increment(count);
        }
    }
}
