//! A token that is limited to a queue reaches nothing of any other one.

use super::{admin, baton, bearer, create, guarded, guarded_with, told};
use e2e::{Cluster, eventually, http};
use serde_json::Value;

fn json(cluster: &Cluster, token: &str, args: &[&str]) -> Value {
    let output = baton(cluster, Some(token), &[&["--output", "json"], args].concat());
    assert!(output.status.success(), "{args:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_token_of_one_queue_sees_submits_and_cancels_there_alone() {
    let cluster = guarded();
    let (_, anybody) = create(&cluster, &["--scope", "submit,read"]);
    let (_, limited) = create(&cluster, &["--scope", "submit,read", "--queue", "gpu"]);
    let submit =
        |token: &str, queue: &str| baton(&cluster, Some(token), &["submit", "-q", "--queue", queue, "--", "true"]);
    let id = |token: &str, queue: &str| {
        let output = submit(token, queue);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let (other, own) = (id(&anybody, "default"), id(&limited, "gpu"));
    let (code, text) = told(&submit(&limited, "default"));
    assert!(code == Some(1) && text.contains("limited to the queue \"gpu\""), "{text}");
    let listed = json(&cluster, &limited, &["list"]);
    let ids: Vec<&str> = listed.as_array().unwrap().iter().map(|task| task["task_id"].as_str().unwrap()).collect();
    assert_eq!(ids, [own.as_str()]);
    assert_eq!(json(&cluster, &limited, &["queues"]).as_array().map(Vec::len), Some(1));
    assert_eq!(json(&cluster, &limited, &["get", &own])["task_id"], own.as_str());
    for verb in ["get", "explain", "watch", "logs", "cancel", "retry"] {
        let (code, text) = told(&baton(&cluster, Some(&limited), &[verb, &other]));
        assert!(code == Some(4) && text.contains("no task"), "{verb}: {code:?} {text}");
    }
    let (code, text) = told(&baton(&cluster, Some(&limited), &["list", "--queue", "default"]));
    assert!(code == Some(1) && text.contains("limited"), "{text}");
    let (code, text) = told(&baton(&cluster, Some(&limited), &["workers"]));
    assert!(code == Some(1) && text.contains("limited"), "{text}");
    // All, to this token, is all of its queue.
    let done = json(&cluster, &limited, &["cancel", "--all", "--yes"]);
    assert_eq!(done["cancelled"], 1);
    assert_eq!(json(&cluster, &anybody, &["get", &other])["state"], "queued");
}

#[test]
fn a_token_that_calls_too_often_is_told_when_to_come_back_and_others_are_not() {
    let cluster = guarded_with(&["--rate-limit", "1/s"]);
    let (_, busy) = create(&cluster, &["--scope", "read"]);
    let ask =
        |token: &str| http::http(cluster.http_address, "GET", "/queues", &[("authorization", &bearer(token))], "");
    let refused = eventually("a refusal", || Some(ask(&busy)).filter(|answer| answer.status != 200));
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")), "{refused:?}");
    // Each token has its own turns, and they come again.
    eventually("another token's turn", || (ask(&admin(&cluster)).status == 200).then_some(()));
    eventually("the next turn", || (ask(&busy).status == 200).then_some(()));
}
