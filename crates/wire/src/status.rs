//! One table between the domain's state words and the wire's statuses (CONTRACT 5).

use crate::v1::TaskStatus;
use domain::{Error, Result, StateWord};

/// The status of a state word.
pub fn task_status(word: StateWord) -> TaskStatus {
    match word {
        StateWord::Delayed | StateWord::Queued | StateWord::BackingOff => TaskStatus::Pending,
        StateWord::Dispatched => TaskStatus::Dispatched,
        StateWord::Running | StateWord::Cancelling => TaskStatus::Running,
        StateWord::Completed => TaskStatus::Completed,
        StateWord::Failed => TaskStatus::Failed,
        StateWord::TimedOut => TaskStatus::TimedOut,
        StateWord::Cancelled => TaskStatus::Cancelled,
    }
}

/// All words that a status stands for, in the order of a task's life.
///
/// # Errors
/// [`domain::Kind::Invalid`] if `number` is no status, or is the unspecified one.
pub fn words_of(field: &str, number: i32) -> Result<Vec<StateWord>> {
    let words: Vec<_> = StateWord::ALL.into_iter().filter(|word| task_status(*word) as i32 == number).collect();
    if words.is_empty() { Err(Error::field(field, format!("{number} is not a status"))) } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_found_by_its_status() {
        for word in StateWord::ALL {
            assert!(words_of("status", task_status(word) as i32).is_ok_and(|words| words.contains(&word)));
        }
    }

    #[test]
    fn what_is_no_status_is_refused_by_name() {
        for bad in [0, -1, 8] {
            let error = words_of("statuses", bad).map(drop).unwrap_err();
            assert!(error.text().starts_with("statuses: "), "{error}");
        }
    }
}
