//! Lists: filters, page sizes and page tokens.

use crate::{status::words_of, v1};
use domain::{Cursor, Error, Page, PageRequest, Result, StateWord, TaskFilter, TaskId, WorkerId, limits};

/// Version of the token's form, so that a later form is told apart.
const TOKEN: &str = "p1-";

/// Reads a list's filter and place.
///
/// # Errors
/// [`domain::Kind::Invalid`], naming the field.
pub fn page_request(request: v1::ListTasksRequest) -> Result<PageRequest> {
    let v1::ListTasksRequest { statuses, worker_id, name, page_size, page_token, queue, array_id, waiting } = request;
    let mut states = Vec::new();
    for status in statuses {
        states.extend(words_of("statuses", status)?);
    }
    let limit = match usize::try_from(page_size) {
        Ok(0) => limits::PAGE_TASKS_DEFAULT,
        Ok(size) if size <= limits::PAGE_TASKS => size,
        Ok(_) | Err(_) => return Err(Error::field("page_size", format!("must be 0 to {}", limits::PAGE_TASKS))),
    };
    let filter = TaskFilter { waiting, ..filter(states, worker_id, name, queue, &array_id)? };
    let after = if page_token.is_empty() { None } else { Some(cursor(&page_token, filter.array.is_some())?) };
    Ok(PageRequest { filter, after, limit })
}

/// The filter that these fields are; empty ones mean any.
pub(crate) fn filter(
    states: Vec<StateWord>,
    worker: String,
    name: String,
    queue: String,
    array: &str,
) -> Result<TaskFilter> {
    let array = if array.is_empty() { None } else { Some(array_id(array)?) };
    for (field, text) in [("name", &name), ("queue", &queue)] {
        if array.is_some() && !text.is_empty() {
            return Err(Error::field(field, "must be empty with `array_id`: all members have the array's"));
        }
    }
    let some = |text: String| if text.is_empty() { None } else { Some(text) };
    let worker = some(worker).map(|w| WorkerId::new(&w));
    Ok(TaskFilter { states, worker, waiting: false, name: some(name), queue: some(queue), array })
}

fn array_id(text: &str) -> Result<TaskId> {
    let id: TaskId = text.parse().map_err(|error| Error::field("array_id", error))?;
    if id.index().is_some() {
        return Err(Error::field("array_id", "is the id of a member, not of an array"));
    }
    Ok(id)
}

/// A page as it is answered.
pub fn page_response(page: Page<v1::Task>) -> v1::ListTasksResponse {
    let Page { items, next } = page;
    v1::ListTasksResponse { tasks: items, next_page_token: next.map_or_else(String::new, token) }
}

fn token(cursor: Cursor) -> String {
    format!("{TOKEN}{:x}", cursor.0)
}

/// The place is a row key or, among members, an index + 1.
fn cursor(token: &str, members: bool) -> Result<Cursor> {
    let most = if members { i64::from(limits::ARRAY_INDEX) + 1 } else { i64::MAX };
    token
        .strip_prefix(TOKEN)
        .and_then(|hex| i64::from_str_radix(hex, 16).ok())
        .filter(|place| (0..=most).contains(place))
        .map(Cursor)
        .ok_or_else(|| Error::field("page_token", "was not given out by ListTasks for this list"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0199a0b2-6d1c-7000-8a4f-3c2b1d0e9f88";

    #[test]
    fn a_page_token_leads_to_the_place_it_was_given_for() {
        for key in [0, 1, i64::MAX] {
            let answer = page_response(Page { items: Vec::new(), next: Some(Cursor(key)) });
            let request = v1::ListTasksRequest { page_token: answer.next_page_token, ..Default::default() };
            assert_eq!(page_request(request).unwrap().after, Some(Cursor(key)));
        }
        assert_eq!(page_response(Page { items: Vec::new(), next: None }).next_page_token, "");
    }

    #[test]
    fn nothing_asked_is_the_newest_hundred_of_all() {
        let request = page_request(v1::ListTasksRequest::default()).unwrap();
        assert_eq!(request, PageRequest { filter: TaskFilter::default(), after: None, limit: 100 });
    }

    #[test]
    fn a_status_stands_for_all_its_states() {
        let statuses = vec![v1::TaskStatus::Pending.into(), v1::TaskStatus::Failed.into()];
        let request = page_request(v1::ListTasksRequest { statuses, ..Default::default() }).unwrap();
        assert_eq!(
            request.filter.states,
            [StateWord::Delayed, StateWord::Queued, StateWord::BackingOff, StateWord::Failed]
        );
    }

    #[test]
    fn members_of_an_array_have_places_of_their_own() {
        let list = v1::ListTasksRequest { array_id: ID.into(), ..Default::default() };
        let request = page_request(v1::ListTasksRequest { page_token: token(Cursor(1_000)), ..list.clone() }).unwrap();
        assert_eq!((request.filter.array, request.after), (Some(ID.parse().unwrap()), Some(Cursor(1_000))));
        let elsewhere = page_request(v1::ListTasksRequest { page_token: token(Cursor(i64::MAX)), ..list });
        assert!(elsewhere.unwrap_err().text().starts_with("page_token: "));
    }

    #[test]
    fn wrong_fields_are_named() {
        let list = v1::ListTasksRequest::default;
        let table = [
            ("page_size", v1::ListTasksRequest { page_size: -1, ..list() }),
            ("page_size", v1::ListTasksRequest { page_size: 1_001, ..list() }),
            ("page_token", v1::ListTasksRequest { page_token: "p1-xyz".into(), ..list() }),
            ("page_token", v1::ListTasksRequest { page_token: "p1--1".into(), ..list() }),
            ("statuses", v1::ListTasksRequest { statuses: vec![99], ..list() }),
            ("array_id", v1::ListTasksRequest { array_id: "last".into(), ..list() }),
            ("array_id", v1::ListTasksRequest { array_id: format!("{ID}.1"), ..list() }),
            ("name", v1::ListTasksRequest { array_id: ID.into(), name: "n".into(), ..list() }),
        ];
        for (field, request) in table {
            let error = page_request(request).unwrap_err();
            assert!(error.text().starts_with(&format!("{field}: ")), "{error}");
        }
    }
}
