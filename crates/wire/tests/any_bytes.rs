//! Whatever a stranger sends: an error or a value that says the same again, never a panic.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use domain::Spec;
use proptest::prelude::*;
use prost::Message as _;
use std::collections::BTreeMap;
use wire::v1::{self, task_spec::Run};

fn words() -> impl Strategy<Value = BTreeMap<String, String>> {
    proptest::collection::btree_map("[A-Za-z=\u{0}é]{0,5}", ".{0,8}", 0..4)
}

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

prop_compose! {
    fn shell()(command in ".{0,20}", args in proptest::collection::vec(".{0,5}", 0..3), working_dir in "/?[a-z]{0,4}",
               env in words(), stdin in any::<Vec<u8>>()) -> v1::ShellRun {
        v1::ShellRun { command, working_dir, env, stdin, args }
    }
}

prop_compose! {
    fn docker()(operation in "run|start|stop|logs|", image in "[a-z/: ]{0,6}", container_id in "[a-z./]{0,4}",
                command in proptest::collection::vec(".{0,5}", 0..3), env in words(),
                memory_bytes in prop_oneof![Just(0), any::<u64>()], cpu_millis in 0..30_u32, pids in 0..3_u32,
                working_dir in "/?[a-z]{0,4}") -> v1::DockerRun {
        v1::DockerRun { operation, image, container_id, command, env, memory_bytes, cpu_millis, pids, working_dir }
    }
}

prop_compose! {
    fn array()(ranges in proptest::collection::vec((0..20_u32, 0..20_u32), 0..3),
               entries in proptest::collection::vec("[a\u{0}é]{0,3}", 0..4)) -> v1::TaskArray {
        let ranges = ranges.into_iter().map(|(first, last)| v1::Range { first, last }).collect();
        v1::TaskArray { ranges, entries }
    }
}

prop_compose! {
    fn spec()(name in ".{0,12}", description in ".{0,12}", payload in any::<Vec<u8>>(),
              timeout_secs in prop_oneof![0..3_000_000_i32, any::<i32>()], max_retries in prop_oneof![0..=100_i32, any::<i32>()],
              idempotency_key in ".{0,3}", worker in "[a-z./ ]{0,4}", labels in words(), priority: i32,
              queue in "[a-z]{0,4}", timeout_ms in proptest::option::of(prop_oneof![0..10_000_i64, any::<i64>()]),
              run_at_ms in prop_oneof![0..10_000_i64, any::<i64>()], array in proptest::option::of(array()), on_lost in -1..5_i32,
              traceparent in prop_oneof![Just(String::new()), Just(TRACEPARENT.to_owned()), "[0-9a-f-]{0,60}"],
              tracestate in prop_oneof![Just(String::new()), "[a-c=, é]{0,8}"],
              run in proptest::option::of(prop_oneof![shell().prop_map(Run::Shell), docker().prop_map(Run::Docker)])) -> v1::TaskSpec {
        let payload = if run.is_some() { Vec::new() } else { payload };
        // As varied as the timeout.
        let start_within_ms = timeout_ms.unwrap_or(0);
        v1::TaskSpec { name, description, payload, timeout_secs, max_retries, idempotency_key, worker, labels, priority,
                       queue, timeout_ms, run_at_ms, on_lost, array, start_within_ms, traceparent, tracestate, run }
    }
}

proptest! {
    #[test]
    fn what_is_accepted_means_the_same_when_said_again(wire in spec()) {
        if let Ok((spec, entries)) = wire::spec(wire) {
            let mut said = v1::TaskSpec::from(&spec);
            if let Some(array) = &mut said.array {
                array.entries = entries.iter().map(|entry| entry.as_ref().to_owned()).collect();
            }
            prop_assert_eq!(wire::spec(said).unwrap(), (Spec { key: None, ..spec }, entries));
        }
    }

    #[test]
    fn any_bytes_are_refused_or_understood(bytes in any::<Vec<u8>>()) {
        if let Ok(wire) = v1::TaskSpec::decode(&*bytes) {
            let _ = Spec::try_from(wire);
        }
        if let Ok(wire) = v1::ListTasksRequest::decode(&*bytes) {
            let _ = wire::page_request(wire);
        }
        if let Ok(wire) = v1::CancelTasksRequest::decode(&*bytes) {
            let _ = wire::cancel_filter(wire);
        }
        if let Ok(wire) = v1::SubmitEntry::decode(&*bytes) {
            let _ = wire::submit_entry(wire);
        }
    }

    #[test]
    fn any_text_is_an_id_or_is_not(text in ".{0,40}") {
        if let Ok(id) = wire::task_id(&text) {
            prop_assert_eq!(id.to_string(), text.to_lowercase());
        }
    }
}
