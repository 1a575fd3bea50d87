//! A program that is nothing but a keeper: what the tests start.

fn main() -> std::process::ExitCode {
    worker::keeper::run(std::env::args_os().skip(1))
}
