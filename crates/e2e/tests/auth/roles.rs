//! Each route and RPC, called with each sort of token: what happens is what docs/scopes.md says.

use super::{bearer, create, guarded, page, revoke};
use domain::Scope;
use e2e::{Cluster, eventually, http};
use std::{net::SocketAddr, time::Duration};
use tonic::{Code, Request, client::Grpc, codegen::http::uri::PathAndQuery, transport::Endpoint};
use tonic_prost::ProstCodec;

/// An id that is one, and no task's.
const NOBODY: &str = "0199a0b2-6d1c-7000-8a4f-3c2b1d0e9f88";
/// Whoever is let in and gets a stream gets its head at once; an answer to nobody's question may take longer.
const HEAD_WITHIN: Duration = Duration::from_secs(20);

/// What became of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answered {
    In,
    Unknown,
    Denied,
    /// Too many failures from this address: it wasn't even read.
    Unread,
}

/// Calls an RPC with an empty message.
async fn rpc(address: SocketAddr, path: &'static str, token: Option<&str>) -> Answered {
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut client = Grpc::new(channel);
    client.ready().await.unwrap();
    let mut request = Request::new(());
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", bearer(token).parse().unwrap());
    }
    let call = client.server_streaming(request, PathAndQuery::from_static(path), ProstCodec::<(), ()>::default());
    match tokio::time::timeout(HEAD_WITHIN, call).await.map(|answer| answer.map(drop)) {
        Ok(Err(status)) if status.code() == Code::Unauthenticated => Answered::Unknown,
        Ok(Err(status)) if status.code() == Code::PermissionDenied => Answered::Denied,
        Ok(Err(status)) if status.code() == Code::ResourceExhausted => Answered::Unread,
        Ok(_) | Err(_) => Answered::In,
    }
}

fn route(address: SocketAddr, method: &str, path: &str, token: Option<&str>) -> Answered {
    let path = path.replace("{id}", NOBODY).replace("{name}", "no-such-queue");
    let value = token.map(bearer);
    let headers: Vec<(&str, &str)> = value.iter().map(|value| ("authorization", value.as_str())).collect();
    let answer = http::http(address, method, &path, &headers, "");
    match answer.status {
        401 => {
            assert!(answer.header("www-authenticate").is_some_and(|value| value.starts_with("bearer")), "{answer:?}");
            Answered::Unknown
        }
        403 => Answered::Denied,
        429 => Answered::Unread,
        _ => Answered::In,
    }
}

/// A caller of each sort: what the page calls it, the scope that it stands for, and its token.
fn callers(cluster: &Cluster) -> Vec<(String, Option<Scope>, Option<String>)> {
    let (_, wrong) = create(cluster, &["--scope", "admin"]);
    let wrong = format!("{}{}", &wrong[..wrong.len() - 1], if wrong.ends_with('0') { '1' } else { '0' });
    let (_, expired) = create(cluster, &["--scope", "admin", "--expires", "1ms"]);
    let (id, revoked) = create(cluster, &["--scope", "admin"]);
    revoke(cluster, &id);
    let mut callers = vec![
        ("none".to_owned(), None, None),
        ("nonsense".to_owned(), None, Some("hello".to_owned())),
        ("wrong".to_owned(), None, Some(wrong)),
        ("expired".to_owned(), None, Some(expired)),
        ("revoked".to_owned(), None, Some(revoked)),
    ];
    for scope in Scope::ALL {
        let (_, token) = create(cluster, &["--scope", scope.as_str()]);
        callers.push((scope.as_str().to_owned(), Some(scope), Some(token)));
    }
    callers
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn every_call_with_every_sort_of_token_is_answered_as_the_page_says() {
    let cluster = guarded();
    let callers = callers(&cluster);
    let runtime = runtime();
    let (mut made, mut wrong) = (0, Vec::new());
    for port in page::ports() {
        let address = match port.name {
            "Gateway, gRPC" => cluster.gateway_address,
            "Gateway, HTTP" => cluster.http_address,
            _ => cluster.scheduler_address,
        };
        for row in port.rows {
            for (name, scope, token) in &callers {
                let expected = match (page::may(row.need, *scope), scope) {
                    (true, _) => Answered::In,
                    (false, None) => Answered::Unknown,
                    (false, Some(_)) => Answered::Denied,
                };
                let call = || match row.method {
                    "" => runtime.block_on(rpc(address, row.path, token.as_deref())),
                    method => route(address, method, row.path, token.as_deref()),
                };
                // Many failures from one address are more than it may make in a second.
                let answered =
                    eventually("an answer", || Some(call()).filter(|answered| *answered != Answered::Unread));
                made += 1;
                if answered != expected {
                    wrong.push(format!("{} {} with {name}: {answered:?}, not {expected:?}", port.name, row.path));
                }
            }
        }
    }
    println!("{{\"test\":\"route x role\",\"calls\":{made},\"unexpected\":{}}}", wrong.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_spelling_of_a_path_and_no_other_method_gets_around_the_gate() {
    let cluster = guarded();
    let (_, read) = create(&cluster, &["--scope", "read"]);
    let ask = |method: &str, path: &str, headers: &[(&str, &str)]| {
        let value = bearer(&read);
        let headers = [headers, &[("authorization", value.as_str()), ("content-type", "application/json")]].concat();
        http::http(cluster.http_address, method, path, &headers, "{\"cmd\":\"true\"}").status
    };
    // What a reader may not do he may not do in any other way.
    for path in ["/tasks/shell", "/queues/default/pause", "/queues/%64efault/pause"] {
        assert_eq!(ask("POST", path, &[]), 403, "{path}");
    }
    for path in [
        "//tasks/shell",
        "/tasks//shell",
        "/tasks/shell/",
        "/tasks%2fshell",
        "/./tasks/shell",
        "/TASKS/SHELL",
        "/x/../tasks/shell",
    ] {
        assert!(matches!(ask("POST", path, &[]), 400 | 404 | 405), "{path}: {}", ask("POST", path, &[]));
    }
    // Methods that a route doesn't have, and headers that name another one.
    for method in ["PUT", "PATCH", "TRACE", "POST"] {
        assert_eq!(ask(method, "/agents", &[]), 405, "{method}");
    }
    for header in ["x-http-method-override", "x-http-method", "x-method-override"] {
        let path = format!("/tasks/{NOBODY}");
        assert_eq!(ask("GET", &path, &[(header, "DELETE")]), 404, "{header}: it is read, not deleted");
        assert_eq!(ask("POST", &path, &[(header, "GET")]), 405, "{header}");
    }
    assert_eq!(ask("DELETE", &format!("/tasks/{NOBODY}"), &[]), 403);
    let tasks = http::http(cluster.http_address, "GET", "/tasks", &[("authorization", &bearer(&read))], "");
    assert_eq!(tasks.json()["tasks"].as_array().map(Vec::len), Some(0), "nothing was submitted");
    // RPCs are compared byte by byte.
    let runtime = runtime();
    for path in [
        "/orchestrator.v1.Gateway/SubmitTask/",
        "/orchestrator.v1.Gateway//SubmitTask",
        "/orchestrator.v1.Gateway/%53ubmitTask",
    ] {
        let answered = runtime.block_on(rpc(cluster.gateway_address, path, None));
        assert_ne!(answered, Answered::Denied, "{path}");
        assert_eq!(runtime.block_on(code(cluster.gateway_address, path, &read)), Code::Unimplemented, "{path}");
    }
}

#[test]
fn a_token_is_good_as_soon_as_it_is_made_and_not_a_moment_after_it_is_revoked() {
    let cluster = guarded();
    for _ in 0..20 {
        let (id, token) = create(&cluster, &["--scope", "read"]);
        assert_eq!(route(cluster.http_address, "GET", "/tasks", Some(&token)), Answered::In);
        revoke(&cluster, &id);
        assert_eq!(route(cluster.http_address, "GET", "/tasks", Some(&token)), Answered::Unknown);
    }
}

async fn code(address: SocketAddr, path: &'static str, token: &str) -> Code {
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut client = Grpc::new(channel);
    client.ready().await.unwrap();
    let mut request = Request::new(());
    request.metadata_mut().insert("authorization", bearer(token).parse().unwrap());
    let answer = client.unary(request, PathAndQuery::from_static(path), ProstCodec::<(), ()>::default()).await;
    answer.map_or_else(|status| status.code(), |_| Code::Ok)
}
