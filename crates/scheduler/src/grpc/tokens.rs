//! Tokens are made, listed, revoked and told to gateways.

use super::Door;
use domain::{Result, Scope};
use futures_util::{Stream, StreamExt as _};
use service::auth::Invitation;
use wire::v1;

pub(super) async fn create(door: &Door, request: v1::CreateTokenRequest) -> Result<v1::CreateTokenResponse> {
    let (token, secret) = door.tokens.create(wire::new_token(request)?).await?;
    tracing::info!(token = %token.id, "Token made");
    // Who joins tells this scheduler from others by its CA, which he hears of here.
    let ca = door.enrolling.as_ref().filter(|_| token.scopes.has(Scope::Enrol)).map(|enrolling| enrolling.fingerprint);
    let text = Invitation::new(secret, ca).text();
    Ok(v1::CreateTokenResponse { token: Some(wire::v1_token(&token)), text })
}

pub(super) fn list(door: &Door) -> v1::ListTokensResponse {
    v1::ListTokensResponse { tokens: door.tokens.all().iter().map(wire::v1_token).collect() }
}

pub(super) async fn revoke(door: &Door, request: v1::RevokeTokenRequest) -> Result<v1::RevokeTokenResponse> {
    let token = door.tokens.revoke(wire::token_id(&request.id)?).await?;
    tracing::info!(token = %token.id, "Token revoked");
    Ok(v1::RevokeTokenResponse { token: Some(wire::v1_token(&token)) })
}

/// The whole table each time: it is small, changes are rare, and nothing can be missed.
pub(super) fn watch(door: &Door) -> impl Stream<Item = Result<v1::TokenTable>> + Send + use<> {
    let tables = door.tokens.watch();
    tables.map(|all| Ok(v1::TokenTable { tokens: all.iter().map(wire::v1_token_record).collect() }))
}
