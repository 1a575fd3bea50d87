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

/// Calls that name something which has to exist.
const NAMING: [&str; 9] = [
    "get_task",
    "cancel_task",
    "retry_task",
    "explain_task",
    "read_output",
    "watch_task",
    "stream",
    "drain_worker",
    "undrain_worker",
];
/// Calls that something which exists already can stand against: a key, or a task's state.
const CONFLICTING: [&str; 3] = ["submit", "submit_batch", "retry_task"];
/// Calls whose tasks are small and travel with others', whatever receipt they bring: nothing stored is asked for.
const BLIND: [&str; 3] = ["submit_shell", "submit_docker", "submit_agent_shell"];

/// Every route can be refused in the ways that its form allows; the handlers don't repeat them. A test of all reaches each
/// on each route.
pub(super) fn with_refusals(mut api: openapi::OpenApi) -> openapi::OpenApi {
    for item in api.paths.paths.values_mut() {
        for operation in operations(item) {
            let (path, query) = (has(operation, &ParameterIn::Path), has(operation, &ParameterIn::Query));
            let body = operation.request_body.is_some();
            let one_of = |names: &[&str]| operation.operation_id.as_deref().is_some_and(|id| names.contains(&id));
            let wrong = path || query || body;
            let rows = [
                ("400", wrong, "The request is wrong; the field stands first"),
                ("401", true, "A token is needed, or the one that came is good for nothing"),
                ("403", true, "The token lacks the scope, or pages of this Origin may not call"),
                ("404", one_of(&NAMING), "There is no such thing"),
                ("408", body, "The body did not come in time"),
                ("409", one_of(&CONFLICTING), "It exists with another content, or its state does not allow this"),
                ("413", body, "The body is too large"),
                ("415", body, "The body is not JSON"),
                ("421", true, "This Host is not served here"),
                ("429", true, "A limit is reached"),
                ("500", !one_of(&BLIND), "What was stored once is lost"),
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
