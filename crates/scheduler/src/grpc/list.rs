//! List: tasks newest first, a page at a time.

use super::Door;
use domain::{Page, Result};
use wire::v1;

pub(super) async fn list(door: &Door, request: v1::ListTasksRequest) -> Result<v1::ListTasksResponse> {
    let request = wire::page_request(request)?;
    let page = door.read(move |reader| reader.list(&request)).await?;
    let items = page.items.iter().map(|task| wire::v1_task(task, &[], true)).collect();
    Ok(wire::page_response(Page { items, next: page.next }))
}
