//! Log lines on stderr: `2026-01-29T15:23:45.123Z INFO Task submitted task_id=…`, or one JSON object a line.

use crate::{Fatal, LogFormat};
use std::{fmt, io};
use tracing::{Event, Subscriber};
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
        LogFormat::Json => {
            tracing::subscriber::set_global_default(base.json().flatten_event(true).with_timer(Utc).finish())
        }
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
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut w: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        Utc.format_time(&mut w)?;
        write!(w, " {} ", event.metadata().level())?;
        ctx.field_format().format_fields(w.by_ref(), event)?;
        writeln!(w)
    }
}
