//! Lists: filters, page sizes and page tokens.

use crate::{status::words_of, v1};
use domain::{Cursor, Error, Page, PageRequest, Result, TaskFilter, WorkerId, limits};

/// Version of the token's form, so that a later form is told apart.
const TOKEN: &str = "p1-";

/// Reads a list's filter and place.
///
/// # Errors
/// [`domain::Kind::Invalid`], naming the field.
pub fn page_request(request: v1::ListTasksRequest) -> Result<PageRequest> {
    let v1::ListTasksRequest { statuses, worker_id, name, page_size, page_token, queue } = request;
    let mut states = Vec::new();
    for status in statuses {
        states.extend(words_of("statuses", status)?);
    }
    let some = |text: String| if text.is_empty() { None } else { Some(text) };
    let limit = match usize::try_from(page_size) {
        Ok(0) => limits::PAGE_TASKS_DEFAULT,
        Ok(size) if size <= limits::PAGE_TASKS => size,
        Ok(_) | Err(_) => return Err(Error::field("page_size", format!("must be 0 to {}", limits::PAGE_TASKS))),
    };
    Ok(PageRequest {
        filter: TaskFilter {
            states,
            worker: some(worker_id).map(|w| WorkerId::new(&w)),
            name: some(name),
            queue: some(queue),
        },
        after: if page_token.is_empty() { None } else { Some(cursor(&page_token)?) },
        limit,
    })
}

/// A page as it is answered.
pub fn page_response(page: Page<v1::Task>) -> v1::ListTasksResponse {
    let Page { items, next } = page;
    v1::ListTasksResponse { tasks: items, next_page_token: next.map_or_else(String::new, token) }
}

fn token(cursor: Cursor) -> String {
    format!("{TOKEN}{:x}", cursor.0)
}

fn cursor(token: &str) -> Result<Cursor> {
    token
        .strip_prefix(TOKEN)
        .and_then(|hex| i64::from_str_radix(hex, 16).ok())
        .filter(|key| *key >= 0)
        .map(Cursor)
        .ok_or_else(|| Error::field("page_token", "was not given out by ListTasks"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::StateWord;

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
        assert_eq!(request.filter.states, [StateWord::Queued, StateWord::BackingOff, StateWord::Failed]);
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
        ];
        for (field, request) in table {
            let error = page_request(request).unwrap_err();
            assert!(error.text().starts_with(&format!("{field}: ")), "{error}");
        }
    }
}
