//! The flags that all services share, and the forms of their values.

use jiff::{Span, SpanRelativeTo};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Flags of every service. Each is also an environment variable and a key of the file given by `--config`.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Common options")]
// No group: it would be called like that of the options it is flattened into.
#[group(skip)]
pub struct Options {
    /// TOML file with values for flags that neither the command line nor the environment sets
    #[arg(long, value_name = "FILE", env = "BATON_CONFIG")]
    pub config: Option<PathBuf>,
    /// Form of the log lines on stderr; BATON_LOG sets their levels (such as `debug` or `warn,gateway=debug`)
    #[arg(long, value_enum, default_value = "text", env = "BATON_LOG_FORMAT")]
    pub log_format: LogFormat,
    /// How long a graceful stop may take
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10s", env = "BATON_STOP_TIMEOUT")]
    pub stop_timeout: Duration,
    /// Allow listening beyond loopback: anybody who reaches the port can then run commands
    #[arg(long, env = "BATON_INSECURE", value_parser = clap::builder::BoolishValueParser::new())]
    pub insecure: bool,
    /// Further host names by which clients may call this service
    #[arg(long, value_name = "HOST", value_delimiter = ',', env = "BATON_PUBLIC_HOST")]
    pub public_host: Vec<String>,
    /// Further origins whose web pages may call this service, such as `https://tasks.example.org`
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',', env = "BATON_ALLOW_ORIGIN")]
    pub allow_origin: Vec<String>,
    /// Where traces are sent, as OTLP over gRPC: `http://127.0.0.1:4317`. Without it nothing is traced
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
}

/// Form of the log lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Reads a length of time: `10s`, `1h30m`, `7d`. For clap's `value_parser`.
///
/// # Errors
/// What is wrong with it, for people.
pub fn duration(text: &str) -> Result<Duration, String> {
    let span: Span = text.parse().map_err(|_| "is not a length of time such as 10s, 1h30m or 7d".to_owned())?;
    let length = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| "must be given in days, hours, minutes, seconds or ms".to_owned())?;
    Duration::try_from(length).map_err(|_| "must not be negative".to_owned())
}

/// Reads an address to listen on: `127.0.0.1:50051`, `[::1]:0`, `localhost:50051`. For clap's `value_parser`.
///
/// # Errors
/// What is wrong with it, for people.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let plain = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    plain.parse().map_err(|_| "is not an address such as 127.0.0.1:50051".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_need_a_unit() {
        let table = [("10s", 10_000), ("1h30m", 5_400_000), ("7d", 604_800_000), ("250ms", 250), ("0s", 0)];
        for (text, ms) in table {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["", "10", "-5s", "1month", "soon"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_have_a_port() {
        assert_eq!(address("localhost:0").map(|a| a.to_string()), Ok("127.0.0.1:0".into()));
        assert_eq!(address("[::1]:9").map(|a| a.to_string()), Ok("[::1]:9".into()));
        for bad in ["", "127.0.0.1", "example.org:1", "1.2.3.4:99999"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
