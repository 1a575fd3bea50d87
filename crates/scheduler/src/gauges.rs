//! What /metrics says of the scheduler. Names are the contract (docs/telemetry.md); labels are bounded.

use crate::view::View;
use domain::{StateWord, Tail, WorkerStatus};
use engine::{Stats, Waited};

/// Says what they mean, and shows those that nothing may have happened to yet. Not before the service records.
pub(crate) fn begin() {
    metrics::describe_gauge!("baton_tasks", "Tasks by state; members of arrays count, arrays don't");
    metrics::describe_gauge!("baton_tasks_queued", "Tasks that could start now: the depth of all queues");
    metrics::describe_gauge!("baton_tasks_open", "Tasks that aren't final");
    metrics::describe_gauge!("baton_workers", "Workers seen since this start, by status");
    metrics::describe_gauge!("baton_workers_connected", "Workers in contact");
    metrics::describe_gauge!("baton_slots", "Slots of the workers in contact");
    metrics::describe_gauge!("baton_slots_running", "Attempts that the workers in contact hold");
    metrics::describe_counter!("baton_tasks_submitted_total", "Tasks accepted");
    metrics::describe_counter!("baton_tasks_finished_total", "Tasks that became final, by outcome");
    metrics::describe_counter!("baton_attempts_dispatched_total", "Attempts given to workers");
    metrics::describe_counter!("baton_attempts_started_total", "Attempts that workers reported as started");
    metrics::describe_counter!("baton_attempts_lost_total", "Attempts given up because their worker was away");
    metrics::describe_counter!("baton_reports_refused_total", "Reports that did not count, by reason");
    metrics::describe_counter!("baton_worker_streams_refused_total", "Streams ended for what workers said on them");
    for stream in ["session", "output"] {
        metrics::counter!("baton_worker_streams_refused_total", "stream" => stream).increment(0);
    }
    metrics::describe_histogram!("baton_task_wait_seconds", "From being able to start to the start of an attempt");
    metrics::describe_histogram!("baton_commit_writes", "Writes in one commit");
    metrics::describe_histogram!("baton_commit_seconds", "How long a commit took");
    metrics::describe_histogram!("baton_mailbox_messages", "Messages that waited when the loop took the next ones");
    metrics::describe_counter!("baton_output_stored_bytes_total", "Bytes of output made durable");
    metrics::describe_counter!("baton_retention_runs_total", "Walks over the finished tasks");
    metrics::describe_counter!("baton_retention_deleted_total", "Tasks deleted because they ended long ago");
    metrics::describe_gauge!("baton_disk_free_bytes", "Free bytes under the data directory");
    metrics::describe_gauge!("baton_ballast_bytes", "Bytes held back for results and cancels");
    metrics::describe_gauge!("baton_store_behind", "1 if the store has lost commits and nothing is scheduled");
    metrics::describe_gauge!("baton_store_damaged", "1 if the check after the start found damage");
    metrics::gauge!("baton_store_behind").set(0.0);
    metrics::gauge!("baton_store_damaged").set(0.0);
    metrics::counter!("baton_output_stored_bytes_total").increment(0);
}

/// Sets those of a view. `told` is what the counters were told of this reign.
pub(crate) fn set(view: &View, told: &mut Stats) {
    let View { opened: _, snapshot, stats, counts } = view;
    for (word, n) in counts.iter() {
        metrics::gauge!("baton_tasks", "state" => word.as_str()).set(n as f64);
    }
    metrics::gauge!("baton_tasks_queued").set(counts.get(StateWord::Queued) as f64);
    metrics::gauge!("baton_tasks_open").set(counts.sum(|word| !word.is_final()) as f64);
    let mut workers = [WorkerStatus::Connected, WorkerStatus::Draining, WorkerStatus::Disconnected].map(|s| (s, 0_u32));
    let (mut slots, mut running) = (0_u64, 0_u64);
    for worker in &snapshot.workers {
        for (status, count) in &mut workers {
            *count += u32::from(*status == worker.status);
        }
        if worker.status != WorkerStatus::Disconnected {
            slots += u64::from(worker.hello.slots);
            running += u64::from(worker.running);
        }
    }
    for (status, count) in workers {
        metrics::gauge!("baton_workers", "status" => status.as_str()).set(count);
    }
    metrics::gauge!("baton_workers_connected").set(workers[0].1 + workers[1].1);
    metrics::gauge!("baton_slots").set(slots as f64);
    metrics::gauge!("baton_slots_running").set(running as f64);
    count(stats, told);
    *told = *stats;
}

/// The engine counts from its beginning, and a process may see several: what is new is added.
fn count(now: &Stats, told: &Stats) {
    let single = [
        ("baton_tasks_submitted_total", now.submitted - told.submitted),
        ("baton_attempts_dispatched_total", now.dispatched - told.dispatched),
        ("baton_attempts_started_total", now.started - told.started),
        ("baton_attempts_lost_total", now.lost - told.lost),
    ];
    for (name, more) in single {
        metrics::counter!(name).increment(more);
    }
    let finished = [
        ("completed", now.completed - told.completed),
        ("failed", now.failed - told.failed),
        ("timed_out", now.timed_out - told.timed_out),
        ("cancelled", now.cancelled - told.cancelled),
    ];
    for (outcome, more) in finished {
        metrics::counter!("baton_tasks_finished_total", "outcome" => outcome).increment(more);
    }
    for ((why, n), (_, before)) in now.refused.iter().zip(told.refused.iter()) {
        metrics::counter!("baton_reports_refused_total", "reason" => why.as_str()).increment(n - before);
    }
}

/// Attempts that started.
pub(crate) fn waited(all: &[Waited]) {
    if all.is_empty() {
        return;
    }
    let wait = metrics::histogram!("baton_task_wait_seconds");
    for Waited { since, until, .. } in all {
        wait.record((until.0 - since.0) as f64 / 1_000.0);
    }
}

/// Output that was committed with an event.
pub(crate) fn stored(tails: &[&Tail]) {
    let bytes = tails.iter().flat_map(|tail| &tail.0).map(|frame| frame.data.len() as u64).sum();
    stored_bytes(bytes);
}

/// Output that was made durable.
pub(crate) fn stored_bytes(bytes: u64) {
    if bytes > 0 {
        metrics::counter!("baton_output_stored_bytes_total").increment(bytes);
    }
}
