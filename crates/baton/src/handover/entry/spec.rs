//! What an entry means as a task.

use super::{
    base64,
    form::{Array, Docker, Entry, Payload, Shell},
};
use crate::{
    duration, on_lost,
    task_options::{Defaults, name_of},
    when,
};
use std::collections::BTreeMap;
use wire::v1::{self, task_spec::Run};

impl Entry {
    /// The task that it is; what it doesn't say is taken from `defaults`. Limits are for others to check. An error begins
    /// with the field that it is about.
    pub fn spec(self, defaults: &Defaults, now_ms: i64) -> Result<v1::TaskSpec, String> {
        let Self {
            name,
            description,
            command,
            args,
            shell,
            docker,
            env,
            working_dir,
            stdin,
            stdin_base64,
            handler,
            payload,
            payload_base64,
            timeout,
            timeout_secs,
            timeout_ms,
            retries,
            max_retries,
            on_lost,
            idempotency_key,
            worker,
            labels,
            priority,
            queue,
            array,
            run_at,
            run_at_ms,
            delay,
            start_within_ms,
        } = self;
        let payload = bytes("payload", payload.map(|Payload(text)| text), payload_base64)?;
        let stdin = bytes("stdin", stdin, stdin_base64)?;
        let command = Command { command, args, shell, env, working_dir, stdin };
        let (run, name) = match docker {
            Some(docker) => container(*docker, &command, name, handler.is_some(), &defaults.env)?,
            None => run(command, name, handler, payload.is_some(), &defaults.env)?,
        };
        let (timeout_secs, timeout_ms) = limit(timeout, timeout_secs, timeout_ms, defaults.spec.timeout_ms)?;
        let retries = only_one("max_retries", max_retries, "retries", retries)?;
        let base = &defaults.spec;
        Ok(v1::TaskSpec {
            name,
            description: description.unwrap_or_default(),
            payload: payload.unwrap_or_default(),
            timeout_secs,
            max_retries: retries.unwrap_or(base.max_retries),
            idempotency_key: idempotency_key.unwrap_or_default(),
            worker: worker.unwrap_or_else(|| base.worker.clone()),
            labels: merged(labels, &base.labels),
            priority: priority.unwrap_or(base.priority),
            queue: queue.unwrap_or_else(|| base.queue.clone()),
            timeout_ms,
            array: array.map(|Array(array)| array),
            run_at_ms: start(run_at, run_at_ms, delay, now_ms)?.unwrap_or(base.run_at_ms),
            on_lost: on_lost_of(on_lost)?.unwrap_or(base.on_lost),
            start_within_ms: start_within_ms.unwrap_or_default(),
            traceparent: base.traceparent.clone(),
            tracestate: base.tracestate.clone(),
            run,
        })
    }
}

/// What an entry says of a command.
struct Command {
    command: Option<String>,
    args: Option<Vec<String>>,
    shell: Option<Box<Shell>>,
    env: Option<BTreeMap<String, String>>,
    working_dir: Option<String>,
    stdin: Option<Vec<u8>>,
}

/// What is run, and what the task is called.
fn run(
    command: Command,
    name: Option<String>,
    handler: Option<String>,
    payload: bool,
    env: &BTreeMap<String, String>,
) -> Result<(Option<Run>, String), String> {
    let Some(mut shell) = command.run()? else {
        return match handler {
            None if !payload => Err("command: is missing (or args, or handler)".into()),
            handler => Ok((None, handler_name(name, handler)?)),
        };
    };
    if handler.is_some() {
        return Err("handler: stands beside a command".into());
    }
    shell.env = merged(Some(shell.env), env);
    let words = std::iter::once(&shell.command).chain(&shell.args).map(String::as_str);
    let name = name.unwrap_or_else(|| name_of(words));
    Ok((Some(Run::Shell(shell)), name))
}

/// A container, and what the task is called.
fn container(
    docker: Docker,
    command: &Command,
    name: Option<String>,
    handler: bool,
    env: &BTreeMap<String, String>,
) -> Result<(Option<Run>, String), String> {
    if handler || command.says_something() {
        return Err("docker: stands beside fields of another kind of task, or that belong into it".into());
    }
    let Docker { operation, image, container_id, command, env: own, memory_bytes, cpu_millis, pids, working_dir } =
        docker;
    let operation = operation.unwrap_or_else(|| "run".into());
    // Others make no container that could have an environment.
    let env = if operation == "run" { merged(Some(own), env) } else { own };
    let words = [&image, &container_id].into_iter().filter(|word| !word.is_empty()).chain(&command);
    let name = name.unwrap_or_else(|| name_of(words.map(String::as_str)));
    let run =
        v1::DockerRun { operation, image, container_id, command, env, memory_bytes, cpu_millis, pids, working_dir };
    Ok((Some(Run::Docker(run)), name))
}

/// A handler's task is called as its handler.
fn handler_name(name: Option<String>, handler: Option<String>) -> Result<String, String> {
    match (name, handler) {
        (Some(name), Some(handler)) if name != handler => {
            Err("name: must be that of the handler, which finds its tasks by it".into())
        }
        (name, handler) => handler.or(name).ok_or_else(|| "handler: is missing".into()),
    }
}

impl Command {
    fn says_something(&self) -> bool {
        let Self { command, args, shell, env, working_dir, stdin } = self;
        command.is_some()
            || args.is_some()
            || shell.is_some()
            || env.is_some()
            || working_dir.is_some()
            || stdin.is_some()
    }

    /// The command, if there is one.
    fn run(self) -> Result<Option<v1::ShellRun>, String> {
        let Self { command, args, shell, env, working_dir, stdin } = self;
        if let Some(shell) = shell {
            if command.is_some() || args.is_some() || env.is_some() || working_dir.is_some() || stdin.is_some() {
                return Err("shell: stands beside fields that belong into it".into());
            }
            let Shell { command, args, working_dir, env, stdin, stdin_base64 } = *shell;
            let stdin = bytes("stdin", some(stdin), some(stdin_base64)).map_err(|text| format!("shell.{text}"))?;
            return Ok(Some(v1::ShellRun { command, args, working_dir, env, stdin: stdin.unwrap_or_default() }));
        }
        let (command, args) = match (command, args) {
            (Some(_), Some(_)) => return Err("args: stands beside `command`; alone it begins with the program".into()),
            (Some(command), None) => (command, Vec::new()),
            (None, Some(args)) => program(args)?,
            (None, None) => {
                let lonely =
                    [("env", env.is_some()), ("working_dir", working_dir.is_some()), ("stdin", stdin.is_some())];
                return match lonely.iter().find(|(_, there)| *there) {
                    Some((field, _)) => Err(format!("{field}: is for commands, and there is none")),
                    None => Ok(None),
                };
            }
        };
        let (env, working_dir, stdin) =
            (env.unwrap_or_default(), working_dir.unwrap_or_default(), stdin.unwrap_or_default());
        Ok(Some(v1::ShellRun { command, args, working_dir, env, stdin }))
    }
}

/// A program and its arguments. On the wire a program without any is a line for the shell: it must mean the same there.
fn program(args: Vec<String>) -> Result<(String, Vec<String>), String> {
    let mut args = args.into_iter();
    let program = args.next().ok_or("args: must not be empty")?;
    let args: Vec<String> = args.collect();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if args.is_empty() && !program.is_empty() && !program.chars().all(plain) {
        return Ok((format!("exec '{}'", program.replace('\'', r"'\''")), args));
    }
    Ok((program, args))
}

fn some(text: String) -> Option<String> {
    if text.is_empty() { None } else { Some(text) }
}

fn bytes(field: &str, text: Option<String>, base64: Option<String>) -> Result<Option<Vec<u8>>, String> {
    match (text, base64) {
        (Some(_), Some(_)) => Err(format!("{field}_base64: stands beside `{field}`")),
        (Some(text), None) => Ok(Some(text.into_bytes())),
        (None, Some(text)) => base64::decode(&text).map(Some).map_err(|why| format!("{field}_base64: {why}")),
        (None, None) => Ok(None),
    }
}

/// Without any, the default, which is that of the command line.
fn limit(
    text: Option<String>,
    secs: Option<i32>,
    ms: Option<i64>,
    default_ms: Option<i64>,
) -> Result<(i32, Option<i64>), String> {
    let ms = match text {
        Some(_) if ms.is_some() => return Err("timeout_ms: stands beside `timeout`".into()),
        Some(text) => {
            let length = duration::parse(&text).map_err(|why| format!("timeout: {why}"))?;
            Some(i64::try_from(length.as_millis()).unwrap_or(i64::MAX))
        }
        None => ms,
    };
    match (secs, ms) {
        (Some(_), Some(_)) => Err("timeout_secs: stands beside another timeout".into()),
        (Some(secs), None) => Ok((secs, None)),
        (None, Some(ms)) => Ok((0, Some(ms))),
        (None, None) => Ok((0, default_ms)),
    }
}

fn on_lost_of(word: Option<String>) -> Result<Option<i32>, String> {
    let parsed = word.map(|word| on_lost::parse(&word).map_err(|why| format!("on_lost: {why}"))).transpose()?;
    Ok(parsed.map(i32::from))
}

/// From when on it may run, in Unix milliseconds.
fn start(at: Option<String>, at_ms: Option<i64>, delay: Option<String>, now_ms: i64) -> Result<Option<i64>, String> {
    let at = at.map(|text| when::time(&text).map_err(|why| format!("run_at: {why}"))).transpose()?;
    let delay = delay.map(|text| when::delay(&text).map_err(|why| format!("delay: {why}"))).transpose()?;
    let at = only_one("run_at_ms", at_ms, "run_at", at)?;
    only_one("delay", delay.map(|delay| when::after(now_ms, delay)), "run_at", at)
}

fn only_one<T>(field: &str, value: Option<T>, other: &str, other_value: Option<T>) -> Result<Option<T>, String> {
    match (value, other_value) {
        (Some(_), Some(_)) => Err(format!("{field}: stands beside `{other}`")),
        (value, other) => Ok(value.or(other)),
    }
}

/// Both; where they differ, what the entry says.
fn merged(own: Option<BTreeMap<String, String>>, others: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut all = own.unwrap_or_default();
    for (key, value) in others {
        if !all.contains_key(key) {
            all.insert(key.clone(), value.clone());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_700_000_000_000;

    fn read(json: &str) -> Result<v1::TaskSpec, String> {
        let spec = v1::TaskSpec {
            timeout_ms: Some(0),
            queue: "q".into(),
            max_retries: 2,
            labels: [("a".into(), "1".into()), ("b".into(), "1".into())].into(),
            ..Default::default()
        };
        let defaults = Defaults { spec, env: [("E".into(), "1".into())].into() };
        let spec = Entry::parse(json.as_bytes(), true)?.spec(&defaults, NOW_MS)?;
        wire::check_spec(spec.clone()).map(|()| spec).map_err(|error| error.text().to_owned())
    }

    fn shell(spec: &v1::TaskSpec) -> &v1::ShellRun {
        match &spec.run {
            Some(Run::Shell(shell)) => shell,
            Some(Run::Docker(_)) | None => panic!("{spec:?} is no command"),
        }
    }

    #[test]
    fn what_an_entry_does_not_say_comes_from_the_options() {
        let spec = read(r#"{"command": "echo $E", "labels": {"b": "2"}, "name": null}"#).unwrap();
        assert_eq!((&*spec.name, &*spec.queue, spec.max_retries, spec.timeout_ms), ("echo $E", "q", 2, Some(0)));
        assert_eq!((&*spec.labels["a"], &*spec.labels["b"], &*shell(&spec).env["E"]), ("1", "2", "1"));
    }

    #[test]
    fn the_short_form_says_everything() {
        let spec = read(
            r#"{"name": "n", "args": ["a", "b c"], "env": {"X": "é"}, "working_dir": "/tmp", "stdin": "in", "queue": "z",
                "priority": -5, "timeout": "1m30s", "retries": 0, "worker": "w1", "idempotency_key": "k",
                "array": "1-3,7", "delay": "10s", "description": "d", "on_lost": "wait"}"#,
        )
        .unwrap();
        let run = shell(&spec);
        assert_eq!(
            (&*run.command, &run.args[..], &*run.working_dir, &run.stdin[..]),
            ("a", &["b c".into()][..], "/tmp", &b"in"[..])
        );
        assert_eq!((&*spec.queue, spec.priority, spec.timeout_ms, spec.max_retries), ("z", -5, Some(90_000), 0));
        assert_eq!((&*spec.worker, &*spec.idempotency_key, spec.run_at_ms), ("w1", "k", NOW_MS + 10_000));
        assert_eq!(spec.on_lost, i32::from(v1::OnLost::Wait));
        let ranges = spec.array.unwrap().ranges;
        assert_eq!(ranges, [v1::Range { first: 1, last: 3 }, v1::Range { first: 7, last: 7 }]);
    }

    #[test]
    fn the_protocols_form_is_understood() {
        let spec = read(
            r#"{"name": "n", "shell": {"command": "cat", "args": ["-"], "stdin_base64": "AP8="}, "timeout_secs": 5,
                "max_retries": 1, "run_at_ms": 9, "array": {"ranges": [{"first": 4, "last": 5}], "entries": ["a", ""]}}"#,
        )
        .unwrap();
        assert_eq!((&shell(&spec).stdin[..], spec.timeout_secs, spec.timeout_ms), (&[0, 255][..], 5, None));
        assert_eq!(
            (spec.max_retries, spec.run_at_ms, spec.array.unwrap().entries),
            (1, 9, vec!["a".into(), String::new()])
        );
    }

    #[test]
    fn a_container_is_described_as_in_the_protocol() {
        let docker = |json: &str| match read(json).unwrap() {
            v1::TaskSpec { run: Some(Run::Docker(docker)), name, .. } => (docker, name),
            other => panic!("{other:?} is no container"),
        };
        let (run, name) = docker(
            r#"{"docker": {"image": "busybox", "command": ["echo", "a b"], "env": {"X": "2"}, "memory_bytes": 6291456}}"#,
        );
        assert_eq!((&*run.operation, &*run.image, &*name), ("run", "busybox", "busybox echo a b"));
        assert_eq!((&*run.env["E"], &*run.env["X"], run.memory_bytes), ("1", "2", 6_291_456));
        let (stop, name) = docker(r#"{"docker": {"operation": "stop", "container_id": "c1"}}"#);
        assert_eq!((&*stop.operation, &*stop.container_id, &*name, stop.env.len()), ("stop", "c1", "c1", 0));
    }

    #[test]
    fn a_handlers_payload_is_text_or_json_or_bytes() {
        let payload = |json: &str| {
            let spec = read(json).unwrap();
            assert_eq!((&*spec.name, &spec.run), ("resize", &None));
            spec.payload
        };
        assert_eq!(payload(r#"{"handler": "resize", "payload": "a\nb"}"#), b"a\nb");
        assert_eq!(
            payload(r#"{"handler": "resize", "payload": {"w": 1.50, "n": [1e3]}}"#),
            br#"{"w": 1.50, "n": [1e3]}"#
        );
        assert_eq!(payload(r#"{"name": "resize", "payload_base64": "AP8="}"#), [0, 255]);
        assert_eq!(payload(r#"{"handler": "resize"}"#), b"");
    }

    #[test]
    fn a_lonely_program_is_not_a_shell_line() {
        let command = |json: &str| shell(&read(json).unwrap()).command.clone();
        assert_eq!(command(r#"{"args": ["/bin/my-tool"]}"#), "/bin/my-tool");
        assert_eq!(command(r#"{"args": ["it's $HOME"]}"#), r"exec 'it'\''s $HOME'");
        assert_eq!(command(r#"{"command": "a; b"}"#), "a; b");
    }

    #[test]
    fn what_is_wrong_is_named_by_its_field() {
        let table = [
            (r#"{}"#, "command: is missing"),
            (r#"{"command": ""}"#, "shell.command: must not be empty"),
            (r#"{"comand": "x"}"#, "comand: is not a field of a task"),
            (r#"{"command": "x", "command": "y"}"#, "command: stands twice"),
            (r#"{"command": "x", "priority": "high"}"#, "priority: invalid type: string \"high\", expected i32"),
            (r#"{"command": "x", "env": {"N": 5}}"#, "env: invalid type: integer `5`, expected a string"),
            (r#"{"command": "x", "args": ["y"]}"#, "args: stands beside `command`"),
            (r#"{"args": []}"#, "args: must not be empty"),
            (r#"{"shell": {"cmd": "x"}}"#, "shell: unknown field `cmd`"),
            (r#"{"shell": {"command": "x"}, "env": {}}"#, "shell: stands beside"),
            (r#"{"handler": "h", "env": {}}"#, "env: is for commands"),
            (r#"{"docker": {"image": "i"}, "env": {}}"#, "docker: stands beside"),
            (r#"{"docker": {"image": "i"}, "handler": "h"}"#, "docker: stands beside"),
            (r#"{"docker": {"image": "i"}, "payload": "p"}"#, "payload: is for handler tasks"),
            (r#"{"docker": {"img": "i"}}"#, "docker: unknown field `img`"),
            (r#"{"docker": {"operation": "exec"}}"#, "docker.operation: must be one of"),
            (r#"{"handler": "h", "command": "x"}"#, "handler: stands beside a command"),
            (r#"{"handler": "h", "name": "n"}"#, "name: must be that of the handler"),
            (r#"{"command": "x", "payload": "p"}"#, "payload: is for handler tasks"),
            (r#"{"handler": "h", "payload_base64": "?"}"#, "payload_base64: is not base64"),
            (r#"{"command": "x", "timeout": "5"}"#, "timeout: is no duration"),
            (r#"{"command": "x", "timeout": "5s", "timeout_secs": 5}"#, "timeout_secs: stands beside"),
            (r#"{"command": "x", "retries": 101}"#, "max_retries: must be 0 to 100"),
            (r#"{"command": "x", "retries": 1, "max_retries": 1}"#, "max_retries: stands beside `retries`"),
            (r#"{"command": "x", "on_lost": "give up"}"#, "on_lost: must be retry, fail or wait"),
            (r#"{"command": "x", "array": "3-1"}"#, "array: 3-1 ends before it begins"),
            (r#"{"command": "x", "array": 5}"#, "array: invalid type: integer `5`, expected indexes"),
            (r#"{"command": "x", "run_at": "soon"}"#, "run_at: "),
            (r#"{"command": "x", "run_at_ms": 5, "delay": "5s"}"#, "delay: stands beside"),
            (r#"{"command": "x", "queue": "a\u0000b"}"#, "queue: must not contain control"),
            (r#"["x"]"#, "invalid type: sequence, expected an object that describes a task"),
            (r#"{"command": x}"#, "command: expected value"),
            (r#"{command: "x"}"#, "is not JSON: key must be a string"),
            (r#"{"command": "#, "command: EOF while parsing a value"),
            ("{", "ends in the middle"),
        ];
        for (json, why) in table {
            let text = read(json).unwrap_err();
            assert!(text.starts_with(why), "{json}: {text}");
            assert!(!text.contains(" at line "), "{text}");
        }
    }
}
