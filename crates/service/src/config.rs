//! Command line, environment and file as one: flags win over the environment, that over the file, that over defaults.
//!
//! The file's keys are the flags' names. Its values become clap's defaults before the real parse, so that there is one
//! place where a flag is declared and one where its value is checked.

use crate::Fatal;
use clap::{Arg, ArgAction, ArgMatches, Command, Parser, builder::OsStr, error::ErrorKind};
use std::{ffi::OsString, fs, path::Path};

/// The id of the flag that names the file. Commands without it take no file.
const CONFIG: &str = "config";

/// Parses the process's command line. Ends the process on `--help`, `--version` and wrong usage (code 2).
pub fn parse<P: Parser>() -> P {
    parse_from(std::env::args_os()).unwrap_or_else(|error| error.exit())
}

/// Parses this command line; the first argument is the program's name.
///
/// # Errors
/// What clap says about the arguments, or what is wrong with the file.
pub fn parse_from<P: Parser>(args: impl IntoIterator<Item = impl Into<OsString>>) -> Result<P, clap::Error> {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let mut command = P::command();
    if !names_file(&args, &command) {
        return match command.try_get_matches_from(&args) {
            Err(error) if shows_help(&error) => {
                Err(name_keys(P::command()).try_get_matches_from(args).err().unwrap_or(error))
            }
            matches => P::from_arg_matches(&matches?),
        };
    }
    command = name_keys(command);
    // Only looks for the file; whatever else is wrong shows in the real parse.
    if let Ok(matches) = command.clone().ignore_errors(true).try_get_matches_from(&args) {
        command =
            with_file(command, &matches).map_err(|fatal| P::command().error(ErrorKind::ValueValidation, fatal))?;
    }
    P::from_arg_matches(&command.try_get_matches_from(args)?)
}

/// Whether a file may be named. Mostly none is, and then all is parsed once, and nothing is copied.
fn names_file(args: &[OsString], command: &Command) -> bool {
    let flag = format!("--{CONFIG}");
    args.iter().any(|arg| arg.as_encoded_bytes().starts_with(flag.as_bytes())) || is_in_environment(command)
}

fn is_in_environment(command: &Command) -> bool {
    let named =
        |arg: &Arg| arg.get_id() == CONFIG && arg.get_env().is_some_and(|name| std::env::var_os(name).is_some());
    command.get_arguments().any(named) || command.get_subcommands().any(is_in_environment)
}

/// Keys are told only to whoever asks.
fn shows_help(error: &clap::Error) -> bool {
    matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand)
}

/// Appends each flag's key to its help.
fn name_keys(command: Command) -> Command {
    let takes_file = command.get_arguments().any(|arg| arg.get_id() == CONFIG);
    let command = command.mut_subcommands(name_keys);
    if !takes_file {
        return command;
    }
    command.mut_args(|arg| match (key(&arg), arg.get_help().map(ToString::to_string)) {
        (Some(key), Some(help)) => arg.help(format!("{help} [file: {key}]")),
        (Some(_) | None, _) => arg,
    })
}

/// A flag's key in the file, if it may stand there.
fn key(arg: &Arg) -> Option<String> {
    let values =
        matches!(arg.get_action(), ArgAction::Set | ArgAction::Append | ArgAction::SetTrue | ArgAction::SetFalse);
    if values && arg.get_id() != CONFIG { arg.get_long().map(ToOwned::to_owned) } else { None }
}

/// Applies the file that the innermost subcommand names.
fn with_file(command: Command, matches: &ArgMatches) -> Result<Command, Fatal> {
    if let Some((name, inner)) = matches.subcommand()
        && command.find_subcommand(name).is_some()
    {
        let mut failed = None;
        let command = command.mut_subcommand(name, |sub| {
            with_file(sub.clone(), inner).unwrap_or_else(|fatal| {
                failed = Some(fatal);
                sub
            })
        });
        return failed.map_or(Ok(command), Err);
    }
    match matches.try_get_one::<std::path::PathBuf>(CONFIG) {
        Ok(Some(file)) => apply(command, file),
        Ok(None) | Err(_) => Ok(command),
    }
}

fn apply(mut command: Command, file: &Path) -> Result<Command, Fatal> {
    let shown = file.display();
    let text = fs::read_to_string(file).map_err(|error| Fatal::new(format!("cannot read {shown}: {error}")))?;
    let table: toml::Table = text.parse().map_err(|error| Fatal::new(format!("{shown}: {error}")))?;
    for (name, value) in table {
        let wanted = name.replace('_', "-");
        let Some(id) =
            command.get_arguments().find(|arg| key(arg).as_ref() == Some(&wanted)).map(|a| a.get_id().clone())
        else {
            let known: Vec<_> = command.get_arguments().filter_map(key).collect();
            return Err(Fatal::new(format!("{shown}: unknown key `{name}`; known are {}", known.join(", "))));
        };
        let values = values(&value).ok_or_else(|| Fatal::new(format!("{shown}: `{name}` has no usable value")))?;
        command = command.mut_arg(id, |arg| arg.default_values(values));
    }
    Ok(command)
}

/// A value or a list of values as clap would get them from the command line; tables become `K=V`.
fn values(value: &toml::Value) -> Option<Vec<OsStr>> {
    let texts = match value {
        toml::Value::Array(items) => items.iter().map(text).collect::<Option<Vec<_>>>()?,
        toml::Value::Table(table) => {
            table.iter().map(|(k, v)| text(v).map(|v| format!("{k}={v}"))).collect::<Option<Vec<_>>>()?
        }
        toml::Value::String(_)
        | toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_) => vec![text(value)?],
    };
    // clap keeps defaults as 'static texts; a configuration is read once in a process's life.
    Some(texts.into_iter().map(|text| OsStr::from(&*Box::leak(text.into_boxed_str()))).collect())
}

fn text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(yes) => Some(yes.to_string()),
        toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use std::io::Write as _;

    #[derive(Parser, Debug)]
    struct Flags {
        /// Capacity
        #[arg(long, default_value_t = 1, env = "BATON_TEST_CONFIG_SLOTS")]
        slots: u32,
        /// Labels
        #[arg(long)]
        label: Vec<String>,
        #[command(flatten)]
        service: Options,
    }

    #[derive(Parser, Debug)]
    enum Nested {
        Worker(Flags),
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn parsed(file: &tempfile::NamedTempFile, more: &[&str]) -> Result<Flags, String> {
        let path = file.path().to_str().unwrap();
        parse_from(["x", "--config", path].iter().chain(more)).map_err(|e| e.to_string())
    }

    #[test]
    fn the_file_wins_over_defaults_and_flags_over_the_file() {
        let file = file(
            "slots = 7\nstop-timeout = \"3s\"\ninsecure = true\nlabel = { gpu = \"a100\" }\npublic_host = [\"a\", \"b\"]",
        );
        let flags = parsed(&file, &[]).unwrap();
        assert_eq!((flags.slots, flags.service.stop_timeout.as_secs(), flags.service.insecure), (7, 3, true));
        assert_eq!(
            (flags.label, flags.service.public_host),
            (vec!["gpu=a100".to_owned()], vec!["a".into(), "b".into()])
        );
        assert_eq!(parsed(&file, &["--slots", "9"]).unwrap().slots, 9);
    }

    #[test]
    fn a_subcommand_takes_its_own_file() {
        let file = file("slots = 7");
        let Nested::Worker(flags) = parse_from(["x", "worker", "--config", file.path().to_str().unwrap()]).unwrap();
        assert_eq!(flags.slots, 7);
    }

    #[test]
    fn unknown_keys_and_wrong_values_are_named() {
        for (text, named) in [
            ("slotz = 1", "slotz"),
            ("slots = \"many\"", "slots"),
            ("config = \"x\"", "config"),
            ("slots = ", "TOML"),
            ("slots = [[1]]", "slots"),
        ] {
            let error = parsed(&file(text), &[]).unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
        let error = parse_from::<Flags>(["x", "--config", "/does/not/exist"]).unwrap_err().to_string();
        assert!(error.contains("/does/not/exist"), "{error}");
    }

    #[test]
    fn help_names_flag_variable_and_key() {
        let help = parse_from::<Flags>(["x", "--help"]).unwrap_err().to_string();
        for word in ["--slots", "BATON_TEST_CONFIG_SLOTS", "[file: slots]", "[file: stop-timeout]"] {
            assert!(help.contains(word), "{word}: {help}");
        }
    }
}
