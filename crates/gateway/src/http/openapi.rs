//! What the routes look like to programs: made from the handlers themselves, so that it can't say anything else.

use super::refusal::Problem;
use utoipa::{
    OpenApi,
    openapi::{
        self, ContentBuilder, Ref, RefOr, Response, ResponseBuilder,
        path::{Operation, ParameterIn, PathItem},
    },
};

/// Everything but the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Baton",
        description = "Runs anything on any number of machines. Errors are the same on every route; docs/http.md tells more.",
        license(name = "MIT OR Apache-2.0"),
        contact(name = "Baton"),
    ),
    components(schemas(Problem, super::stream::StreamProgress))
)]
pub(super) struct Head;

/// Every route can be refused in the ways that its form allows; the handlers don't repeat them.
pub(super) fn with_refusals(mut api: openapi::OpenApi) -> openapi::OpenApi {
    for item in api.paths.paths.values_mut() {
        for operation in operations(item) {
            let (path, query) = (has(operation, &ParameterIn::Path), has(operation, &ParameterIn::Query));
            let body = operation.request_body.is_some();
            let makes = operation.operation_id.as_deref() == Some("retry_task") || body;
            let wrong = path || query || body;
            let rows = [
                ("400", wrong, "The request is wrong; the field stands first"),
                ("401", true, "A token is needed, or the one that came is good for nothing"),
                ("403", true, "The token lacks the scope, or pages of this Origin may not call"),
                ("404", path || query, "There is no such thing"),
                ("408", body, "The body did not come in time"),
                ("409", makes, "It exists with another content, or its state does not allow this"),
                ("413", body, "The body is too large"),
                ("415", body, "The body is not JSON"),
                ("421", true, "This Host is not served here"),
                ("429", true, "A limit is reached"),
                ("500", true, "Stored data is lost, or our own fault"),
                ("503", true, "Somebody who is needed is away, or the outcome is unknown"),
            ];
            for (code, may, text) in rows {
                if may {
                    operation.responses.responses.entry(code.into()).or_insert_with(|| RefOr::T(refusal(text)));
                }
            }
        }
    }
    api
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.delete].into_iter().filter_map(Option::as_mut)
}

fn has(operation: &Operation, place: &ParameterIn) -> bool {
    operation.parameters.iter().flatten().any(|parameter| match parameter {
        RefOr::T(parameter) => parameter.parameter_in == *place,
        RefOr::Ref(_) => false,
    })
}

fn refusal(text: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(text).content("application/json", content).build()
}
