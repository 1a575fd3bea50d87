//! Gauges and counters of the scheduler, from its views. Names are the contract; labels are bounded.

use crate::view::View;
use domain::{StateWord, WorkerStatus};

/// Sets all of them.
pub(crate) fn set(view: &View) {
    let View { snapshot, stats, counts } = view;
    for (word, n) in counts.iter() {
        metrics::gauge!("baton_tasks", "state" => word.as_str()).set(n as f64);
    }
    metrics::gauge!("baton_tasks_queued").set(counts.get(StateWord::Queued) as f64);
    metrics::gauge!("baton_tasks_open").set(counts.sum(|word| !word.is_final()) as f64);
    let connected = snapshot.workers.iter().filter(|w| w.status != WorkerStatus::Disconnected).count();
    metrics::gauge!("baton_workers_connected").set(connected as f64);
    metrics::counter!("baton_tasks_submitted_total").absolute(stats.submitted);
    metrics::counter!("baton_attempts_dispatched_total").absolute(stats.dispatched);
    metrics::counter!("baton_attempts_started_total").absolute(stats.started);
    metrics::counter!("baton_attempts_lost_total").absolute(stats.lost);
    for (why, n) in stats.refused.iter() {
        metrics::counter!("baton_reports_refused_total", "reason" => why.as_str()).absolute(n);
    }
    let finished = [
        ("completed", stats.completed),
        ("failed", stats.failed),
        ("timed_out", stats.timed_out),
        ("cancelled", stats.cancelled),
    ];
    for (outcome, count) in finished {
        metrics::counter!("baton_tasks_finished_total", "outcome" => outcome).absolute(count);
    }
}
