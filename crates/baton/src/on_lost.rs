//! What follows a lost attempt, as people write it.

use domain::OnLost;
use wire::v1;

/// From a word. What is the default is sent as nothing chosen, as older services know it.
pub fn parse(text: &str) -> Result<v1::OnLost, String> {
    match OnLost::parse(text) {
        Some(OnLost::Retry) => Ok(v1::OnLost::Unspecified),
        Some(OnLost::Fail) => Ok(v1::OnLost::Fail),
        Some(OnLost::Wait) => Ok(v1::OnLost::Wait),
        None => Err("must be retry, fail or wait".to_owned()),
    }
}

/// As a word. What a newer service may answer with is shown as it came.
pub fn word(on_lost: i32) -> String {
    let known = match v1::OnLost::try_from(on_lost) {
        Ok(v1::OnLost::Unspecified | v1::OnLost::Retry) => OnLost::Retry,
        Ok(v1::OnLost::Fail) => OnLost::Fail,
        Ok(v1::OnLost::Wait) => OnLost::Wait,
        Err(_) => return on_lost.to_string(),
    };
    known.as_str().to_owned()
}
