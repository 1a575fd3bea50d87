//! Names, numbers and types of the public contract never change: additions only.
//!
//! `proto/baseline.txt` is what was promised. `UPDATE_BASELINE=1 cargo test -p wire` adds what is new; a line that is in the
//! file is never taken out of it by that.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use prost::Message as _;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FileDescriptorSet, ServiceDescriptorProto, field_descriptor_proto,
};
use std::{collections::BTreeSet, fs, path::PathBuf};

fn baseline() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../proto/baseline.txt")
}

fn current() -> BTreeSet<String> {
    let set = FileDescriptorSet::decode(wire::DESCRIPTOR).unwrap();
    let mut lines = BTreeSet::new();
    for file in &set.file {
        let package = file.package();
        file.message_type.iter().for_each(|m| message(package, m, &mut lines));
        file.enum_type.iter().for_each(|e| enumeration(package, e, &mut lines));
        file.service.iter().for_each(|s| service(package, s, &mut lines));
    }
    lines
}

fn message(scope: &str, message: &DescriptorProto, lines: &mut BTreeSet<String>) {
    let name = format!("{scope}.{}", message.name());
    for field in &message.field {
        let kind = field.r#type().as_str_name().trim_start_matches("TYPE_").to_lowercase();
        let label = match field.label() {
            field_descriptor_proto::Label::Repeated => "repeated ",
            field_descriptor_proto::Label::Optional | field_descriptor_proto::Label::Required => "",
        };
        let oneof = field.oneof_index.and_then(|i| message.oneof_decl.get(usize::try_from(i).ok()?));
        let oneof = oneof.map_or_else(String::new, |o| format!(" in {}", o.name()));
        lines.insert(format!(
            "message {name}: {} = {} {label}{kind}{}{oneof}",
            field.name(),
            field.number(),
            field.type_name()
        ));
    }
    message.nested_type.iter().for_each(|m| self::message(&name, m, lines));
    message.enum_type.iter().for_each(|e| enumeration(&name, e, lines));
}

fn enumeration(scope: &str, enumeration: &EnumDescriptorProto, lines: &mut BTreeSet<String>) {
    for value in &enumeration.value {
        lines.insert(format!("enum {scope}.{}: {} = {}", enumeration.name(), value.name(), value.number()));
    }
}

fn service(scope: &str, service: &ServiceDescriptorProto, lines: &mut BTreeSet<String>) {
    for method in &service.method {
        let stream = |yes| if yes { "stream " } else { "" };
        lines.insert(format!(
            "rpc {scope}.{}.{}({}{}) returns ({}{})",
            service.name(),
            method.name(),
            stream(method.client_streaming()),
            method.input_type(),
            stream(method.server_streaming()),
            method.output_type()
        ));
    }
}

#[test]
fn nothing_that_was_promised_has_changed() {
    let promised: BTreeSet<String> =
        fs::read_to_string(baseline()).unwrap_or_default().lines().map(ToOwned::to_owned).collect();
    let current = current();
    let broken: Vec<_> = promised.difference(&current).collect();
    assert!(broken.is_empty(), "gone or changed: {broken:#?}");
    if std::env::var_os("UPDATE_BASELINE").is_some() {
        let lines: Vec<_> = current.into_iter().collect();
        fs::write(baseline(), lines.join("\n") + "\n").unwrap();
    } else {
        assert!(!promised.is_empty(), "{} is missing", baseline().display());
    }
}

/// The Python worker makes its messages from a copy of the descriptor: without comments, which are most of it.
#[test]
fn the_python_worker_has_this_contract() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../clients/python/baton/orchestrator.binpb");
    let mut set = FileDescriptorSet::decode(wire::DESCRIPTOR).unwrap();
    set.file.iter_mut().for_each(|file| file.source_code_info = None);
    let current = set.encode_to_vec();
    if std::env::var_os("UPDATE_BASELINE").is_some() {
        fs::write(&path, &current).unwrap();
    }
    let same = fs::read(&path).unwrap_or_default() == current;
    assert!(same, "clients/python has an older contract; UPDATE_BASELINE=1 cargo test -p wire gives it this one");
}

/// What clients of the older system have compiled in (CONTRACT 2).
#[test]
fn the_older_systems_messages_have_their_numbers() {
    let current = current();
    let p = "orchestrator.v1";
    for line in [
        format!("message {p}.TaskSpec: name = 1 string"),
        format!("message {p}.TaskSpec: description = 2 string"),
        format!("message {p}.TaskSpec: payload = 3 bytes"),
        format!("message {p}.TaskSpec: timeout_secs = 4 int32"),
        format!("message {p}.TaskSpec: max_retries = 5 int32"),
        format!("message {p}.TaskAccepted: task_id = 1 string"),
        format!("message {p}.TaskAccepted: timestamp = 2 int64"),
        format!("message {p}.TaskProgress: status = 2 enum.{p}.TaskStatus"),
        format!("message {p}.TaskProgress: progress_percent = 3 int32"),
        format!("message {p}.TaskProgress: timestamp = 5 int64"),
        format!("message {p}.TaskResult: output = 3 bytes"),
        format!("message {p}.TaskResult: error_message = 4 string"),
        format!("message {p}.WorkerHeartbeat: available_slots = 3 int32"),
        format!("message {p}.TaskAssignment: spec = 2 message.{p}.TaskSpec"),
        format!("message {p}.WorkerResponse: heartbeat = 1 message.{p}.WorkerHeartbeat in message"),
        format!("message {p}.WorkerResponse: result = 3 message.{p}.TaskResult in message"),
        format!("message {p}.ProgressRequest: task_id = 1 string"),
        format!("message {p}.HealthCheckResponse: version = 2 string"),
        format!("enum {p}.TaskStatus: TASK_STATUS_DISPATCHED = 7"),
        format!("rpc {p}.Gateway.SubmitTask(.{p}.TaskSpec) returns (.{p}.TaskAccepted)"),
        format!("rpc {p}.Gateway.SubscribeProgress(.{p}.ProgressRequest) returns (stream .{p}.TaskProgress)"),
        format!("rpc {p}.Scheduler.RegisterWorker(stream .{p}.WorkerResponse) returns (stream .{p}.TaskAssignment)"),
        format!("rpc {p}.Worker.ExecuteTask(.{p}.TaskSpec) returns (stream .{p}.TaskProgress)"),
    ] {
        assert!(current.contains(&line), "{line}");
    }
}
