//! Tokens are made, listed and revoked.

use super::App;
use domain::Result;
use wire::v1::{
    CreateTokenRequest, CreateTokenResponse, ListTokensRequest, ListTokensResponse, RevokeTokenRequest,
    RevokeTokenResponse,
};

impl App {
    pub(crate) async fn create_token(&self, request: CreateTokenRequest) -> Result<CreateTokenResponse> {
        // Only for its form: the scheduler reads it again.
        wire::new_token(request.clone())?;
        let made = self.upstream.answer(self.upstream.calls().create_token(request)).await?;
        if let Some(Ok(token)) = made.token.as_ref().map(|token| wire::token_id(&token.id)) {
            self.upstream.until_told(token, false).await;
        }
        Ok(made)
    }

    pub(crate) async fn list_tokens(&self, request: ListTokensRequest) -> Result<ListTokensResponse> {
        self.upstream.answer(self.upstream.calls().list_tokens(request)).await
    }

    pub(crate) async fn revoke_token(&self, request: RevokeTokenRequest) -> Result<RevokeTokenResponse> {
        let token = wire::token_id(&request.id)?;
        let revoked = self.upstream.answer(self.upstream.calls().revoke_token(request)).await?;
        self.upstream.until_told(token, true).await;
        Ok(revoked)
    }
}
