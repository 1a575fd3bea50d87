//! The fields of an entry, read one by one so that what is wrong is named by its field.

use domain::Ranges;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{error::Category, value::RawValue};
use std::{collections::BTreeMap, fmt};
use wire::v1;

/// A task as it stands in a file. What is `null` is as if it weren't there.
#[derive(Default)]
pub struct Entry {
    pub name: Option<String>,
    pub description: Option<String>,
    pub command: Option<String>,
    pub args: Option<Vec<String>>,
    pub shell: Option<Box<Shell>>,
    pub docker: Option<Box<Docker>>,
    pub env: Option<BTreeMap<String, String>>,
    pub working_dir: Option<String>,
    pub stdin: Option<String>,
    pub stdin_base64: Option<String>,
    pub handler: Option<String>,
    pub payload: Option<Payload>,
    pub payload_base64: Option<String>,
    pub timeout: Option<String>,
    pub timeout_secs: Option<i32>,
    pub timeout_ms: Option<i64>,
    pub retries: Option<i32>,
    pub max_retries: Option<i32>,
    pub on_lost: Option<String>,
    pub idempotency_key: Option<String>,
    pub worker: Option<String>,
    pub labels: Option<BTreeMap<String, String>>,
    pub priority: Option<i32>,
    pub queue: Option<String>,
    pub array: Option<Array>,
    pub run_at: Option<String>,
    pub run_at_ms: Option<i64>,
    pub delay: Option<String>,
    pub start_within_ms: Option<i64>,
}

/// A payload: a string is its text, anything else is passed as it is written.
pub struct Payload(pub String);

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let json = <&RawValue>::deserialize(from)?.get();
        let text = json.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        match text {
            Some(plain) if !plain.contains('\\') => Ok(Self(plain.to_owned())),
            Some(_) => serde_json::from_str(json).map(Self).map_err(de::Error::custom),
            None => Ok(Self(json.to_owned())),
        }
    }
}

/// The protocol's form of a command.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Shell {
    pub command: String,
    pub args: Vec<String>,
    pub working_dir: String,
    pub env: BTreeMap<String, String>,
    pub stdin: String,
    pub stdin_base64: String,
}

/// The protocol's form of a container task.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Docker {
    pub operation: Option<String>,
    pub image: String,
    pub container_id: String,
    pub command: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub memory_bytes: u64,
    pub cpu_millis: u32,
    pub pids: u32,
    pub working_dir: String,
}

/// What makes a task an array.
pub struct Array(pub v1::TaskArray);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ArrayFields {
    ranges: Vec<RangeFields>,
    #[serde(default)]
    entries: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RangeFields {
    first: u32,
    last: u32,
}

impl Entry {
    /// Reads one. `line`: it stands on a line of its own.
    pub fn parse(json: &[u8], line: bool) -> Result<Box<Self>, String> {
        // Filled where it is: it is large, and there may be millions.
        let mut entry = Box::<Self>::default();
        let mut from = serde_json::Deserializer::from_slice(json);
        let read = from.deserialize_map(Fields(&mut entry)).and_then(|()| from.end());
        read.map(|()| entry).map_err(|error| match error.classify() {
            Category::Data => bare(&error.to_string()).to_owned(),
            Category::Eof if line => "ends in the middle (a file is one list, or one entry a line)".to_owned(),
            Category::Syntax | Category::Eof | Category::Io => format!("is not JSON: {}", bare(&error.to_string())),
        })
    }
}

/// Without the place, which is that in the entry and not that in the file.
fn bare(text: &str) -> &str {
    text.split_once(" at line ").map_or(text, |(bare, _)| bare)
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Name,
    Description,
    Command,
    Args,
    Shell,
    Docker,
    Env,
    WorkingDir,
    Stdin,
    #[serde(rename = "stdin_base64")]
    StdinBase64,
    Handler,
    Payload,
    #[serde(rename = "payload_base64")]
    PayloadBase64,
    Timeout,
    TimeoutSecs,
    TimeoutMs,
    Retries,
    MaxRetries,
    OnLost,
    IdempotencyKey,
    Worker,
    Labels,
    Priority,
    Queue,
    Array,
    RunAt,
    RunAtMs,
    Delay,
    StartWithinMs,
    Unknown(String),
}

/// Reads the fields of an entry into it.
struct Fields<'e>(&'e mut Entry);

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object that describes a task")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (e, map) = (self.0, &mut map);
        while let Some(field) = map.next_key()? {
            match field {
                Field::Name => take(map, "name", &mut e.name)?,
                Field::Description => take(map, "description", &mut e.description)?,
                Field::Command => take(map, "command", &mut e.command)?,
                Field::Args => take(map, "args", &mut e.args)?,
                Field::Shell => take(map, "shell", &mut e.shell)?,
                Field::Docker => take(map, "docker", &mut e.docker)?,
                Field::Env => take(map, "env", &mut e.env)?,
                Field::WorkingDir => take(map, "working_dir", &mut e.working_dir)?,
                Field::Stdin => take(map, "stdin", &mut e.stdin)?,
                Field::StdinBase64 => take(map, "stdin_base64", &mut e.stdin_base64)?,
                Field::Handler => take(map, "handler", &mut e.handler)?,
                Field::Payload => take(map, "payload", &mut e.payload)?,
                Field::PayloadBase64 => take(map, "payload_base64", &mut e.payload_base64)?,
                Field::Timeout => take(map, "timeout", &mut e.timeout)?,
                Field::TimeoutSecs => take(map, "timeout_secs", &mut e.timeout_secs)?,
                Field::TimeoutMs => take(map, "timeout_ms", &mut e.timeout_ms)?,
                Field::Retries => take(map, "retries", &mut e.retries)?,
                Field::MaxRetries => take(map, "max_retries", &mut e.max_retries)?,
                Field::OnLost => take(map, "on_lost", &mut e.on_lost)?,
                Field::IdempotencyKey => take(map, "idempotency_key", &mut e.idempotency_key)?,
                Field::Worker => take(map, "worker", &mut e.worker)?,
                Field::Labels => take(map, "labels", &mut e.labels)?,
                Field::Priority => take(map, "priority", &mut e.priority)?,
                Field::Queue => take(map, "queue", &mut e.queue)?,
                Field::Array => take(map, "array", &mut e.array)?,
                Field::RunAt => take(map, "run_at", &mut e.run_at)?,
                Field::RunAtMs => take(map, "run_at_ms", &mut e.run_at_ms)?,
                Field::Delay => take(map, "delay", &mut e.delay)?,
                Field::StartWithinMs => take(map, "start_within_ms", &mut e.start_within_ms)?,
                Field::Unknown(field) => return Err(de::Error::custom(format!("{field}: is not a field of a task"))),
            }
        }
        Ok(())
    }
}

fn take<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
    map: &mut A,
    field: &str,
    to: &mut Option<T>,
) -> Result<(), A::Error> {
    let wrong = |text: &str| de::Error::custom(format!("{field}: {text}"));
    if to.is_some() {
        return Err(wrong("stands twice"));
    }
    *to = map.next_value().map_err(|error: A::Error| wrong(bare(&error.to_string())))?;
    Ok(())
}

impl<'de> Deserialize<'de> for Array {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ArrayForms)
    }
}

struct ArrayForms;

impl<'de> Visitor<'de> for ArrayForms {
    type Value = Array;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("indexes such as \"1-1000\", or an object with ranges")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Array, E> {
        let ranges = Ranges::parse(text).map_err(|error| {
            // It is named by its field here.
            let text = error.text();
            E::custom(text.split_once(": ").map_or(text, |(_, text)| text))
        })?;
        let ranges = ranges.parts().iter().map(|part| v1::Range::from(*part)).collect();
        Ok(Array(v1::TaskArray { ranges, entries: Vec::new() }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Array, A::Error> {
        let ArrayFields { ranges, entries } = ArrayFields::deserialize(MapAccessDeserializer::new(map))?;
        let range = |RangeFields { first, last }| v1::Range { first, last };
        Ok(Array(v1::TaskArray { ranges: ranges.into_iter().map(range).collect(), entries }))
    }
}
