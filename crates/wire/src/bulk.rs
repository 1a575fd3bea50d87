//! Verbs on more than one task: which tasks a cancel means, and the names of workers and queues.

use crate::{page, status::words_of, v1};
use domain::{Error, Result, StateWord, TaskFilter, WorkerId, limits};

/// Reads which unfinished tasks are to be cancelled. The filter's states are never empty, and none of them is final.
///
/// # Errors
/// [`domain::Kind::Invalid`], naming the field; also if no field is set: nobody cancels everything by accident.
pub fn cancel_filter(request: v1::CancelTasksRequest) -> Result<TaskFilter> {
    let v1::CancelTasksRequest { queue, name, worker_id, statuses, array_id, all, waiting } = request;
    let texts = [&queue, &name, &worker_id, &array_id];
    if !all && statuses.is_empty() && texts.into_iter().all(String::is_empty) {
        return Err(Error::field("all", "must be set if no other field is"));
    }
    let mut states = Vec::new();
    for status in statuses {
        states.extend(words_of("statuses", status)?);
    }
    if let Some(word) = states.iter().find(|word| word.is_final()) {
        return Err(Error::field("statuses", format!("{} tasks have ended already", word.as_str())));
    }
    if states.is_empty() {
        states.extend(StateWord::ALL.into_iter().filter(|word| !word.is_final()));
    }
    Ok(TaskFilter { waiting, ..page::filter(states, worker_id, name, queue, &array_id)? })
}

/// Reads the name of a worker.
///
/// # Errors
/// [`domain::Kind::Invalid`], naming `worker_id`, if it is empty.
pub fn worker_id(text: &str) -> Result<WorkerId> {
    if text.is_empty() {
        return Err(Error::field("worker_id", "must not be empty"));
    }
    Ok(WorkerId::new(text))
}

/// Reads the name of a queue.
///
/// # Errors
/// [`domain::Kind::Invalid`], naming `queue`, if no task could be in a queue of this name.
pub fn queue_name(text: &str) -> Result<String> {
    if text.trim().is_empty() {
        return Err(Error::field("queue", "must not be empty"));
    }
    if text.chars().count() > limits::QUEUE_CHARS {
        return Err(Error::field("queue", format!("is over {} characters", limits::QUEUE_CHARS)));
    }
    if text.contains(char::is_control) {
        return Err(Error::field("queue", "must not contain control characters"));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(change: impl FnOnce(&mut v1::CancelTasksRequest)) -> Result<TaskFilter> {
        let mut request = v1::CancelTasksRequest::default();
        change(&mut request);
        cancel_filter(request)
    }

    #[test]
    fn a_cancel_means_unfinished_tasks_only() {
        let all = filter(|r| r.all = true).unwrap();
        assert_eq!(all.states.len(), 6, "{:?}", all.states);
        assert!(!all.states.iter().any(|word| word.is_final()));
        let running = filter(|r| r.statuses = vec![v1::TaskStatus::Running.into()]).unwrap();
        assert_eq!(running.states, [StateWord::Running, StateWord::Cancelling]);
        let queue = filter(|r| r.queue = "q".into()).unwrap();
        assert_eq!((queue.queue.as_deref(), queue.states), (Some("q"), all.states));
    }

    #[test]
    fn a_cancel_of_nothing_in_particular_is_refused() {
        let table = [
            ("all", filter(|_| {})),
            ("statuses", filter(|r| r.statuses = vec![v1::TaskStatus::Failed.into()])),
            ("statuses", filter(|r| r.statuses = vec![0])),
            ("array_id", filter(|r| r.array_id = "x".into())),
        ];
        for (field, result) in table {
            assert!(result.clone().unwrap_err().text().starts_with(&format!("{field}: ")), "{result:?}");
        }
    }

    #[test]
    fn names_are_checked_for_their_form() {
        assert_eq!(queue_name("q"), Ok("q".into()));
        for bad in ["", " ", "a\nb", &"x".repeat(101)] {
            assert!(queue_name(bad).unwrap_err().text().starts_with("queue: "));
        }
        assert!(worker_id("").unwrap_err().text().starts_with("worker_id: "));
    }
}
