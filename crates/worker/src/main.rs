//! The worker's binary, and by `worker keeper` and `worker tender` those of its helpers.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    worker::main(std::env::args_os(), worker::Embedding::default())
}
