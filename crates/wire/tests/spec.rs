//! What a client may ask for, field by field (CONTRACT 2).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use domain::{
    ArraySpec, Container, ContainerLimits, ContainerName, DockerRun, HandlerRun, Kind, Ranges, RetryPolicy, Run,
    ShellRun, Spec, UnixMillis, WorkerId, limits,
};
use prost::Message as _;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use wire::v1::{self, task_spec};

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn handler() -> v1::TaskSpec {
    v1::TaskSpec { name: "resize".into(), ..Default::default() }
}

fn shell(command: &str) -> v1::TaskSpec {
    let shell = v1::ShellRun { command: command.into(), ..Default::default() };
    v1::TaskSpec { name: "job".into(), run: Some(task_spec::Run::Shell(shell)), ..Default::default() }
}

fn with_shell(change: impl FnOnce(&mut v1::ShellRun)) -> v1::TaskSpec {
    let mut shell = v1::ShellRun { command: "x".into(), ..Default::default() };
    change(&mut shell);
    v1::TaskSpec { name: "job".into(), run: Some(task_spec::Run::Shell(shell)), ..Default::default() }
}

fn docker(change: impl FnOnce(&mut v1::DockerRun)) -> v1::TaskSpec {
    let mut docker = v1::DockerRun { operation: "run".into(), image: "busybox".into(), ..Default::default() };
    change(&mut docker);
    v1::TaskSpec { name: "box".into(), run: Some(task_spec::Run::Docker(docker)), ..Default::default() }
}

/// A verb on an existing container.
fn existing(operation: &str, container: &str) -> v1::DockerRun {
    v1::DockerRun { operation: operation.into(), container_id: container.into(), ..Default::default() }
}

fn array(ranges: &[(u32, u32)], entries: &[&str]) -> v1::TaskSpec {
    let ranges = ranges.iter().map(|(first, last)| v1::Range { first: *first, last: *last }).collect();
    let entries = entries.iter().map(|entry| (*entry).to_owned()).collect();
    v1::TaskSpec { array: Some(v1::TaskArray { ranges, entries }), ..shell("true") }
}

#[test]
fn what_is_left_out_has_its_default() {
    let spec = Spec::try_from(handler()).unwrap();
    let expected = Spec {
        name: "resize".into(),
        description: String::new(),
        run: Run::Handler(HandlerRun::default()),
        timeout: Some(Duration::from_secs(300)),
        retry: RetryPolicy { max_retries: 0 },
        on_lost: domain::OnLost::Retry,
        key: None,
        worker: None,
        labels: BTreeMap::new(),
        priority: 0,
        queue: "default".into(),
        run_at: None,
        array: None,
        start_within: None,
        trace: None,
        trace_state: String::new(),
    };
    assert_eq!(spec, expected);
}

#[test]
fn milliseconds_win_over_seconds_and_zero_of_them_is_no_limit() {
    let month = 30 * 24 * 3600;
    let table = [
        (0, None, Some(300_000)),
        (5, None, Some(5_000)),
        (month, None, Some(2_592_000_000)),
        (5, Some(1_500), Some(1_500)),
        (5, Some(0), None),
        (0, Some(i64::from(month) * 1_000), Some(2_592_000_000)),
    ];
    for (timeout_secs, timeout_ms, ms) in table {
        let spec = Spec::try_from(v1::TaskSpec { timeout_secs, timeout_ms, ..handler() }).unwrap();
        assert_eq!(spec.timeout, ms.map(Duration::from_millis), "{timeout_secs} {timeout_ms:?}");
    }
}

#[test]
fn wrong_values_are_refused_by_the_name_of_their_field() {
    let month = 30 * 24 * 3600;
    let env = |key: &str, value: &str| with_shell(|s| drop(s.env.insert(key.into(), value.into())));
    let table = [
        ("name", v1::TaskSpec::default()),
        ("name", v1::TaskSpec { name: "  ".into(), ..handler() }),
        ("name", v1::TaskSpec { name: "x".repeat(201), ..handler() }),
        ("name", v1::TaskSpec { name: "a\nb".into(), ..handler() }),
        ("description", v1::TaskSpec { description: "x".repeat(4_097), ..handler() }),
        ("payload", v1::TaskSpec { payload: vec![0; 1_048_577], ..handler() }),
        ("payload", v1::TaskSpec { payload: vec![1], ..shell("true") }),
        ("timeout_secs", v1::TaskSpec { timeout_secs: -1, ..handler() }),
        ("start_within_ms", v1::TaskSpec { start_within_ms: -1, ..handler() }),
        ("start_within_ms", v1::TaskSpec { start_within_ms: 2_592_000_001, ..handler() }),
        ("start_within_ms", v1::TaskSpec { start_within_ms: 1, ..array(&[(1, 2)], &[]) }),
        ("timeout_secs", v1::TaskSpec { timeout_secs: i32::MIN, timeout_ms: Some(5), ..handler() }),
        ("timeout_secs", v1::TaskSpec { timeout_secs: month + 1, ..handler() }),
        ("timeout_ms", v1::TaskSpec { timeout_ms: Some(-1), ..handler() }),
        ("timeout_ms", v1::TaskSpec { timeout_ms: Some(i64::MAX), ..handler() }),
        ("max_retries", v1::TaskSpec { max_retries: -1, ..handler() }),
        ("max_retries", v1::TaskSpec { max_retries: 101, ..handler() }),
        ("idempotency_key", v1::TaskSpec { idempotency_key: "x".repeat(201), ..handler() }),
        ("worker", v1::TaskSpec { worker: "a b".into(), ..handler() }),
        ("queue", v1::TaskSpec { queue: "x".repeat(101), ..handler() }),
        ("labels", v1::TaskSpec { labels: [(String::new(), "v".into())].into(), ..handler() }),
        ("labels", v1::TaskSpec { labels: (0..17).map(|i| (i.to_string(), "v".into())).collect(), ..handler() }),
        ("shell.command", shell("")),
        ("shell.command", shell("a\0b")),
        ("shell.working_dir", with_shell(|s| s.working_dir = "relative".into())),
        ("shell.stdin", with_shell(|s| s.stdin = vec![0; 1_048_577])),
        ("shell.env", env("A=B", "")),
        ("shell.env", env("", "x")),
        ("shell.env", env("A", "\0")),
        ("on_lost", v1::TaskSpec { on_lost: 4, ..handler() }),
        ("traceparent", v1::TaskSpec { traceparent: "00-1-2-3".into(), ..handler() }),
        ("tracestate", v1::TaskSpec { traceparent: TRACEPARENT.into(), tracestate: "odd".into(), ..handler() }),
        ("tracestate", v1::TaskSpec { tracestate: "a=1".into(), ..handler() }),
        ("run_at_ms", v1::TaskSpec { run_at_ms: -1, ..handler() }),
        ("run_at_ms", v1::TaskSpec { run_at_ms: i64::MAX, ..handler() }),
        ("array.ranges", array(&[], &[])),
        ("array.ranges", array(&[(3, 1)], &[])),
        ("array.ranges", array(&[(1, 3), (3, 3)], &[])),
        ("array.ranges", array(&[(1, 1_000_000_000)], &[])),
        ("array.ranges", array(&[(1, 10_000_001)], &[])),
        ("array.entries", array(&[(1, 3)], &["a", "b"])),
        ("array.entries", array(&[(1, 1)], &["a\0b"])),
        ("array.entries", array(&[(1, 1)], &[&"x".repeat(limits::ENTRY_BYTES + 1)])),
        ("array.entries", array(&[(1, 200)], &[&*"x".repeat(limits::ENTRY_BYTES); 200])),
    ];
    refused(&table);
}

#[test]
fn a_containers_fields_are_refused_by_name_as_well() {
    let table = [
        ("docker.operation", docker(|d| d.operation.clear())),
        ("docker.operation", docker(|d| d.operation = "exec".into())),
        ("docker.operation", docker(|d| d.operation = "RUN".into())),
        ("docker.image", docker(|d| d.image.clear())),
        ("docker.image", docker(|d| d.image = "busy box".into())),
        ("docker.image", docker(|d| d.image = "x".repeat(limits::IMAGE_BYTES + 1))),
        ("docker.container_id", docker(|d| d.container_id = "c".into())),
        ("docker.command", docker(|d| d.command = vec!["a\0b".into()])),
        ("docker.command", docker(|d| d.command = vec!["x".repeat(limits::COMMAND_BYTES)])),
        ("docker.env", docker(|d| drop(d.env.insert("A=B".into(), String::new())))),
        ("docker.memory_bytes", docker(|d| d.memory_bytes = 6 * 1024 * 1024 - 1)),
        ("docker.memory_bytes", docker(|d| d.memory_bytes = u64::MAX)),
        ("docker.cpu_millis", docker(|d| d.cpu_millis = 9)),
        ("docker.working_dir", docker(|d| d.working_dir = "relative".into())),
        ("docker.container_id", docker(|d| *d = existing("start", ""))),
        ("docker.container_id", docker(|d| *d = existing("stop", ""))),
        ("docker.container_id", docker(|d| *d = existing("logs", ""))),
        ("docker.container_id", docker(|d| *d = existing("stop", "../images"))),
        ("docker.container_id", docker(|d| *d = existing("stop", "a?b"))),
        ("docker.image", docker(|d| *d = v1::DockerRun { image: "i".into(), ..existing("stop", "c") })),
        (
            "docker.env",
            docker(|d| *d = v1::DockerRun { env: [("A".into(), "1".into())].into(), ..existing("start", "c") }),
        ),
        ("docker.pids", docker(|d| *d = v1::DockerRun { pids: 1, ..existing("logs", "c") })),
        ("payload", v1::TaskSpec { payload: vec![1], ..docker(|_| {}) }),
    ];
    refused(&table);
}

/// Each is refused, by this name.
fn refused(table: &[(&str, v1::TaskSpec)]) {
    for (field, wire) in table {
        let shown = format!("{wire:.200?}");
        let error = Spec::try_from(wire.clone()).unwrap_err();
        assert_eq!(wire::check_spec(wire.clone()), Err(error.clone()));
        assert_eq!(error.kind(), Kind::Invalid, "{shown}");
        assert!(error.text().starts_with(&format!("{field}: ")), "{field}: {error}");
    }
}

#[test]
fn everything_asked_arrives() {
    let run = Run::Shell(ShellRun {
        command: "ls".into(),
        args: vec!["a b".into(), String::new()],
        working_dir: Some("/tmp".into()),
        env: [("K".into(), "v = \"ü\"".into())].into(),
        stdin: vec![0, 255],
    });
    let mut spec = Spec {
        name: "n".into(),
        description: "d".into(),
        run,
        timeout: None,
        retry: RetryPolicy { max_retries: 100 },
        on_lost: domain::OnLost::Wait,
        key: None,
        worker: Some(WorkerId::new("w1")),
        labels: [("gpu".into(), "a100".into())].into(),
        priority: i32::MIN,
        queue: "q".into(),
        run_at: Some(UnixMillis(1_700_000_000_000)),
        array: Some(ArraySpec { ranges: Ranges::parse("1-3,7").unwrap(), entries: false }),
        start_within: None,
        trace: Some(domain::TraceContext { trace: [1; 16], span: [2; 8], flags: 1 }),
        trace_state: "rojo=1,congo=2".into(),
    };
    assert_eq!(Spec::try_from(v1::TaskSpec::from(&spec)), Ok(spec.clone()));
    let existing = || ContainerName("c0ffee".into());
    let container = Container {
        image: "registry:5000/a/b@sha256:00".into(),
        command: vec!["ls".into(), String::new(), "a b".into()],
        env: [("K".into(), "v".into())].into(),
        working_dir: Some("/srv".into()),
        limits: ContainerLimits { memory_bytes: Some(6 << 20), cpu_millis: Some(10), pids: Some(1) },
    };
    let plain = Container { image: "busybox".into(), ..Container::default() };
    for docker in [
        DockerRun::Run(container),
        DockerRun::Run(plain),
        DockerRun::Start(existing()),
        DockerRun::Stop(existing()),
        DockerRun::Logs(existing()),
    ] {
        spec.run = Run::Docker(docker);
        assert_eq!(Spec::try_from(v1::TaskSpec::from(&spec)), Ok(spec.clone()));
    }
    spec.run = Run::Handler(HandlerRun { payload: vec![1, 0, 2] });
    (spec.array, spec.start_within) = (None, Some(Duration::from_millis(1_500)));
    for ms in [1, 999, 1_000, 1_500, 300_000, 2_592_000_000] {
        spec.timeout = Some(Duration::from_millis(ms));
        assert_eq!(Spec::try_from(v1::TaskSpec::from(&spec)), Ok(spec.clone()), "{ms}");
    }
}

fn key(spec: v1::TaskSpec) -> domain::IdempotencyKey {
    Spec::try_from(spec).unwrap().key.unwrap()
}

#[test]
fn the_same_wish_under_the_same_key_is_the_same_submit() {
    let wish = v1::TaskSpec { idempotency_key: "k".into(), ..shell("true") };
    let spelled_out = v1::TaskSpec { queue: "default".into(), timeout_secs: 300, ..wish.clone() };
    assert_eq!(key(wish.clone()), key(spelled_out));
    let default = v1::TaskSpec { on_lost: v1::OnLost::Retry.into(), ..wish.clone() };
    assert_eq!(key(wish.clone()), key(default), "the default is the same, said or not");
    let elsewhere = v1::TaskSpec { traceparent: TRACEPARENT.into(), tracestate: "a=1".into(), ..wish.clone() };
    assert_eq!(key(wish.clone()), key(elsewhere), "it is asked for again elsewhere");
    let other = key(v1::TaskSpec { priority: 1, ..wish.clone() });
    assert_eq!(other.key, key(wish.clone()).key);
    assert_ne!(other.body, key(wish).body, "another body is seen");
}

#[test]
fn a_packed_spec_takes_another_place_in_a_trace_whole() {
    let packed = |state: &str| {
        wire::pack(&v1::TaskSpec { traceparent: "00-1-2-3".into(), tracestate: state.into(), ..shell("true") })
    };
    let place: domain::TraceContext = TRACEPARENT.parse().unwrap();
    for (state, new) in [("", ""), ("a=1", ""), ("", "b=2"), ("a=1", "b=2")] {
        let found = wire::unpack(wire::traced(&packed(state), place, new.to_owned())).unwrap();
        let wanted = v1::TaskSpec { traceparent: TRACEPARENT.into(), tracestate: new.into(), ..shell("true") };
        assert_eq!(found, wanted, "{state} {new}");
    }
}

#[test]
fn a_body_is_the_time_the_ranges_and_the_entries_as_well() {
    let keyed = |spec| v1::TaskSpec { idempotency_key: "k".into(), ..spec };
    let bodies = [
        keyed(shell("true")),
        keyed(v1::TaskSpec { run_at_ms: 5, ..shell("true") }),
        keyed(array(&[(1, 2)], &[])),
        keyed(array(&[(1, 3)], &[])),
        keyed(array(&[(1, 2)], &["a", "bc"])),
        keyed(array(&[(1, 2)], &["ab", "c"])),
    ];
    let bodies: BTreeSet<_> = bodies.map(|spec| key(spec).body).into();
    assert_eq!(bodies.len(), 6);
    let (split, joined) = (array(&[(2, 3), (1, 1)], &["a", "b", "c"]), array(&[(1, 3)], &["a", "b", "c"]));
    assert_eq!(key(keyed(split)), key(keyed(joined)), "two spellings of the same ranges");
}

#[test]
fn entries_travel_apart_from_their_spec() {
    let id = "0199a0b2-6d1c-7000-8a4f-3c2b1d0e9f88";
    let wire = array(&[(5, 6)], &["", "b"]);
    assert_eq!(wire::check_spec(wire.clone()), Ok(()));
    let (task, spec, entries) =
        wire::submit_entry(v1::SubmitEntry { task_id: id.into(), spec: Some(wire::pack(&wire)), ..Default::default() })
            .unwrap();
    assert_eq!(task.to_string(), id);
    assert_eq!(spec.array, Some(ArraySpec { ranges: Ranges::parse("5-6").unwrap(), entries: true }));
    assert_eq!(entries.iter().map(|e| &**e).collect::<Vec<_>>(), ["", "b"]);
}

#[test]
fn a_new_task_never_has_the_id_of_a_member() {
    let id = "0199a0b2-6d1c-7000-8a4f-3c2b1d0e9f88";
    let member = format!("{id}.7");
    assert_eq!(wire::task_id(&member).unwrap().to_string(), member);
    let entry = v1::SubmitEntry { task_id: member.clone(), spec: Some(wire::pack(&handler())), ..Default::default() };
    assert!(wire::submit_entry(entry).unwrap_err().text().starts_with("task_id: "));
    assert!(wire::retry_ids(&member, id).unwrap_err().text().starts_with("new_task_id: "));
    assert!(wire::retry_ids(id, &member).is_ok(), "a member may be retried alone");
}

#[test]
fn keys_of_different_queues_are_different() {
    let of =
        |queue: &str, k: &str| key(v1::TaskSpec { queue: queue.into(), idempotency_key: k.into(), ..handler() }).key;
    assert_ne!(of("a", "bc"), of("ab", "c"));
    assert_ne!(of("a", "k"), of("b", "k"));
    assert_eq!(of("a", "k"), of("a", "k"));
}

#[test]
fn an_id_that_is_none_names_its_field() {
    for bad in ["", "last", "0199a0b2", "0199a0b26d1c70008a4f3c2b1d0e9f88"] {
        let error = wire::task_id(bad).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.text().starts_with("task_id: ") || error.text().starts_with("task_id "), "{error}");
    }
    let id = "0199a0b2-6d1c-7000-8a4f-3c2b1d0e9f88";
    assert_eq!(wire::task_id(id).unwrap().to_string(), id);
    let missing = v1::SubmitEntry { task_id: id.into(), spec: None, ..Default::default() };
    assert!(wire::submit_entry(missing).unwrap_err().text().starts_with("spec: "));
}

#[test]
fn packed_specs_are_on_the_wire_what_the_proto_says() {
    // Field 1, an embedded message of 9 bytes: field 1 "ab", field 5 = 3, and a field that this build doesn't know.
    let bytes = [&[0x0a, 9][..], &[0x0a, 2], b"ab", &[0x28, 3], &[0xa0, 0x3f, 1]].concat();
    let request = v1::SubmitTasksRequest::decode(&*bytes).unwrap();
    let spec = wire::unpack(request.tasks[0].clone()).unwrap();
    assert_eq!((&*spec.name, spec.max_retries), ("ab", 3));
    assert_eq!(request.encode_to_vec(), bytes, "what is not known travels on");
    assert_eq!(v1::SubmitTasksRequest::from(vec![spec.clone()]).tasks, [wire::pack(&spec)]);
    let error = wire::unpack(b"\xff".as_slice().into()).unwrap_err();
    assert!(error.kind() == Kind::Invalid && error.text().starts_with("spec: is no TaskSpec"), "{error}");
}
