//! `baton submit --from-json`: files of tasks are accepted whole, or what is wrong is named and nothing is.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{Cluster, json, said};
use std::{fs, io::Write, process::Stdio};

#[test]
fn a_list_of_tasks_is_accepted_in_its_order() {
    let cluster = Cluster::start(1);
    let file = cluster.dir().join("tasks.json");
    let entries = r#"[
        {"command": "echo one", "name": "first", "queue": "own"},
        {"args": ["printf", "%s|", "a b", "$HOME"], "priority": 7},
        {"command": "echo $BATON_ARRAY_INDEX $GREETING", "array": "5-6", "env": {"GREETING": "hello"}},
        {"handler": "nobody-knows", "payload": {"w": 9}}
    ]"#;
    fs::write(&file, entries).unwrap();
    let (code, ids, stderr) =
        said(&cluster, &["submit", "--wait", "--priority", "3", "--from-json", file.to_str().unwrap()]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{ids}");
    let ids: Vec<&str> = ids.lines().collect();
    let outputs = [(ids[0], "one\n"), (ids[1], "a b|$HOME|"), (&format!("{}.6", ids[2]), "6 hello\n")];
    for (id, output) in outputs {
        assert_eq!(said(&cluster, &["logs", id]).1, output, "{id}");
    }
    let tasks: Vec<_> = ids.iter().map(|id| json(&cluster, &["get", id])).collect();
    let told: Vec<_> = tasks.iter().map(|t| (t["queue"].as_str().unwrap(), t["priority"].as_i64().unwrap())).collect();
    assert_eq!(told, [("own", 3), ("default", 7), ("default", 3), ("default", 3)]);
    assert_eq!((tasks[0]["name"].as_str(), tasks[3]["result"].as_str()), (Some("first"), Some(r#"{"w": 9}"#)));
}

#[test]
fn one_task_a_line_comes_from_stdin_too() {
    let cluster = Cluster::start(0);
    let mut piped = cluster.baton(&["submit", "--from-json", "-"]);
    piped.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut piped = piped.spawn().unwrap();
    piped.stdin.take().unwrap().write_all(b"{\"command\": \"a\"}\n\n{\"command\": \"b\"}\n").unwrap();
    let output = piped.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "note: no worker is connected\n");
    let names: Vec<_> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|id| json(&cluster, &["get", id])["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn what_is_wrong_is_named_by_entry_and_field_and_nothing_is_submitted() {
    let cluster = Cluster::start(0);
    let file = cluster.dir().join("tasks");
    let good = r#"{"command": "true"}"#;
    let cases = [
        (r#"{"command": "true", "colour": "red"}"#, "colour: is not a field of a task"),
        (r#"{"command": "true", "retries": 101}"#, "max_retries"),
        (r#"{"command": "true", "retries": "three"}"#, "retries: "),
        (r#"{"command": "true", "timeout": "5"}"#, "timeout: "),
        (r#"{"command": "true", "array": "9-1"}"#, "array: "),
        (r#"{"command": "true", "labels": []}"#, "labels: "),
        (r#"{"command": "true", "args": ["true"]}"#, "args: "),
        (r#"{"command": ""}"#, "shell.command"),
        (r#"{"name": "nothing to run"}"#, "command: is missing"),
        (r#"{"payload": "of nobody"}"#, "handler: is missing"),
        (r#"{"command": "true""#, ""),
        ("7", ""),
    ];
    for (wrong, named) in cases {
        for text in [format!("[{good}, {wrong}, {good}]"), format!("{good}\n{wrong}\n{good}\n")] {
            fs::write(&file, &text).unwrap();
            let (code, stdout, stderr) = said(&cluster, &["submit", "--from-json", file.to_str().unwrap()]);
            assert_eq!((code, stdout.as_str()), (Some(1), ""), "{text}: {stderr}");
            let place = format!("error: {}: entry 2: ", file.display());
            let at = stderr.lines().find_map(|line| line.strip_prefix(&place));
            assert!(at.is_some_and(|why| why.starts_with(named)), "{text}: {stderr}");
            assert!(stderr.contains("note: nothing was accepted"), "{text}: {stderr}");
        }
    }
    assert_eq!(said(&cluster, &["submit", "--from-json", "/no/such/file"]).0, Some(2));
    assert_eq!(said(&cluster, &["submit", "--from-json", "x", "--", "true"]).0, Some(2), "one or the other");
    assert_eq!(json(&cluster, &["list"]), serde_json::json!([]));
}
