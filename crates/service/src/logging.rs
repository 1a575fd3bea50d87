//! Log lines on stderr: `2026-01-29T15:23:45.123Z INFO Task submitted task_id=…`, or one JSON object a line.

use crate::{Fatal, LogFormat};
use std::{
    fmt::{self, Write as _},
    io,
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer, time::FormatTime},
    registry::LookupSpan,
};

/// The variable with the levels.
const LEVELS: &str = "BATON_LOG";
/// Levels if nothing is said.
const LEVELS_DEFAULT: &str = "info";
/// The libraries' chatter stays out unless somebody asks for it by name.
const QUIET: &str = "h2=warn,hyper=warn,hyper_util=warn,tonic=warn,tower=warn";

/// Installs the process's log. A second call changes nothing (several services in one process).
pub(crate) fn install(format: LogFormat) -> Result<(), Fatal> {
    let levels = std::env::var(LEVELS).unwrap_or_else(|_| LEVELS_DEFAULT.into());
    let filter = EnvFilter::try_new(format!("{QUIET},{levels}")).map_err(|error| {
        Fatal::new(format!("{LEVELS}: {error}")).hint("use a level such as `debug`, or `warn,gateway=debug`")
    })?;
    let base = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false);
    // Fails only if there is a log already.
    let _ = match format {
        LogFormat::Text => tracing::subscriber::set_global_default(base.event_format(Line).finish()),
        LogFormat::Json => tracing::subscriber::set_global_default(base.event_format(Json).finish()),
    };
    Ok(())
}

struct Utc;

impl FormatTime for Utc {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        write!(w, "{:.3}", jiff::Timestamp::now())
    }
}

struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut w: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        Utc.format_time(&mut w)?;
        let mut fields = Fields::default();
        event.record(&mut fields);
        writeln!(w, " {} {}{}", event.metadata().level(), fields.message, fields.rest)
    }
}

/// One object a line: `timestamp`, `level`, `message`, `target`, the event's fields and, while a call is answered that has
/// a place in a trace, `trace_id` and `span_id`.
struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut w: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut time = String::new();
        Utc.format_time(&mut Writer::new(&mut time))?;
        let mut object = Object::default();
        let mut put = |key: &str, value: &str| object.0.insert(key.to_owned(), value.into());
        put("timestamp", &time);
        put("level", event.metadata().level().as_str());
        put("target", event.metadata().target());
        if let Some(place) = crate::trace::current() {
            put("trace_id", &place.trace_id());
            put("span_id", &place.span_id());
        }
        event.record(&mut object);
        writeln!(w, "{}", serde_json::Value::Object(object.0))
    }
}

/// What an event says, as JSON.
#[derive(Default)]
struct Object(serde_json::Map<String, serde_json::Value>);

impl Object {
    fn put(&mut self, field: &Field, value: impl Into<serde_json::Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Object {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
}

/// A line's message, and its fields as ` key=value`. What others wrote (names, errors) never starts a line of its own.
#[derive(Default)]
struct Fields {
    message: String,
    rest: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }
}

impl Fields {
    fn add(&mut self, field: &Field, text: &str) {
        if field.name() == "message" {
            self.message = escaped(text);
            return;
        }
        // Writing to a String doesn't fail.
        let _ = if text.is_empty() || text.contains(char::is_whitespace) && !text.starts_with('"') {
            write!(self.rest, " {}=\"{}\"", field.name(), escaped(&text.replace('"', "\\\"")))
        } else {
            write!(self.rest, " {}={}", field.name(), escaped(text))
        };
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(log: impl FnOnce()) -> String {
        logged_as(Line, log)
    }

    fn logged_as<F>(format: F, log: impl FnOnce()) -> String
    where
        F: FormatEvent<tracing_subscriber::Registry, tracing_subscriber::fmt::format::DefaultFields>
            + Send
            + Sync
            + 'static,
    {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false);
        tracing::subscriber::with_default(subscriber.event_format(format).finish(), log);
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_line_is_time_level_message_fields() {
        let line = logged(|| tracing::info!(task_id = "0199", count = 3, error = "no such file", "Task submitted"));
        let (time, rest) = line.split_once(' ').unwrap();
        assert_eq!(rest, "INFO Task submitted task_id=0199 count=3 error=\"no such file\"\n");
        assert!(time.ends_with('Z') && time.len() == "2026-01-29T15:23:45.123Z".len(), "{time}");
    }

    #[test]
    fn nobody_writes_a_second_line() {
        let name = "x\n2026-01-29T15:23:45.123Z INFO all is well\u{1b}[31m";
        let line = logged(|| tracing::warn!(name, other = %name, "odd\nname"));
        assert_eq!(line.matches('\n').count(), 1, "{line:?}");
        assert!(!line.contains('\u{1b}'), "{line:?}");
    }

    #[tokio::test]
    async fn a_json_line_names_the_trace_of_the_call_that_is_answered() {
        let place: domain::TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
        let log = || logged_as(Json, || tracing::info!(task_id = "0199", count = 3, quiet = true, "Task\nsubmitted"));
        let within = crate::trace::scoped(Some(place), String::new(), async { log() }).await;
        let object: serde_json::Value = serde_json::from_str(&within).unwrap();
        assert_eq!(object["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(object["span_id"], "00f067aa0ba902b7");
        assert_eq!((&object["message"], &object["level"]), (&"Task\nsubmitted".into(), &"INFO".into()));
        assert_eq!((&object["count"], &object["quiet"]), (&3.into(), &true.into()));
        assert_eq!(within.matches('\n').count(), 1, "{within:?}");
        assert!(!log().contains("trace_id"));
    }
}
