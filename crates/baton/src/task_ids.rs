//! Which task is meant: a whole id, `last`, the beginning or end of an id; with `.17` behind it the member of an array.

use crate::failure::Failure;
use client::Client;
use domain::TaskId;

/// The whole id. That a task of this id exists is seen only when it is asked for.
pub async fn resolve(gateway: &Client, text: &str) -> Result<String, Failure> {
    if text.parse::<TaskId>().is_ok() {
        return Ok(text.to_owned());
    }
    let Some((array, index)) = text.rsplit_once('.') else { return Ok(gateway.resolve(text).await?) };
    let index = index.parse().ok().filter(|index| *index <= domain::limits::ARRAY_INDEX);
    let index = index.ok_or_else(|| Failure::usage(format!("{text}: what follows the dot is not an index")))?;
    let array = gateway.resolve(array).await?;
    let id: TaskId = array.parse().map_err(|_| Failure::error(format!("the gateway answered {array}, not an id")))?;
    Ok(id.whole().member(index).to_string())
}
