//! The program: settings, listeners, signals, exit codes. 64: wrong usage; 1: could not start or had to stop.

use postback_proxy::config::{self, Config};
use postback_proxy::{Listeners, logging, run};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

const USAGE: u8 = 64;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match arguments.iter().map(|argument| argument.to_str()).collect::<Vec<_>>()[..] {
        [] => {}
        [Some("--help" | "-h")] => return say(config::HELP),
        [Some("--version" | "-V")] => {
            return say(concat!("postback-proxy ", env!("CARGO_PKG_VERSION"), "\n"));
        }
        _ => {
            return fail(USAGE, "postback-proxy takes no arguments but --help and --version");
        }
    }
    let config = match config::read(std::env::vars_os()) {
        Ok(config) => config,
        Err(problems) => return fail(USAGE, problems.join("\n")),
    };
    logging::start(config.log);
    let listeners = match (bind("POSTBACK_LISTEN", config.listen), bind("POSTBACK_ADMIN_LISTEN", config.admin_listen)) {
        (Ok(public), Ok(admin)) => Listeners { public, admin },
        (public, admin) => {
            let problems: Vec<_> = [public.err(), admin.err()].into_iter().flatten().collect();
            return fail(1, problems.join("\n"));
        }
    };
    match serve(listeners, config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => fail(1, problem),
    }
}

fn bind(name: &str, address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).map_err(|error| format!("{name} {address} cannot be bound: {error}"))
}

fn serve(listeners: Listeners, config: Config) -> Result<(), String> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
        let shutdown = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        run(listeners, config, shutdown).await.map_err(|error| error.to_string())
    })
}

fn say(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn fail(code: u8, problem: impl AsRef<str>) -> ExitCode {
    eprintln!("postback-proxy: {}", problem.as_ref().replace('\n', "\npostback-proxy: "));
    ExitCode::from(code)
}
