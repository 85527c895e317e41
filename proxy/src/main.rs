//! The program: settings, listeners, signals, exit codes. 64: wrong usage; 1: could not start or had to stop. With a
//! command, that instead of serving.

use postback_proxy::config::{self, Config};
use postback_proxy::{Listeners, import_report, logging, preflight, run};
use std::ffi::OsString;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

const USAGE: u8 = 64;
const SOME_ROWS_UNREAD: u8 = 2;

/// Connections that wait to be accepted; the kernel takes the lower of this and its `somaxconn`.
const BACKLOG: i32 = 65_535;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match arguments.iter().map(|argument| argument.to_str()).collect::<Vec<_>>()[..] {
        [] => {}
        [Some("--help" | "-h")] => return say(config::HELP),
        [Some("--version" | "-V")] => {
            return say(concat!("postback-proxy ", env!("CARGO_PKG_VERSION"), "\n"));
        }
        [Some("import-report"), ..] => return import_report(&arguments[1..]),
        [Some("preflight"), ..] => return preflight(&arguments[1..]),
        _ => return fail(USAGE, "postback-proxy takes no such arguments; see --help"),
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

/// With room for all who come at once after a send: whom the kernel cannot keep waiting tries again after a second.
fn bind(name: &str, address: SocketAddr) -> Result<TcpListener, String> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        rustix::net::listen(&listener, BACKLOG)?;
        Ok(listener)
    });
    bound.map_err(|error| format!("{name} {address} cannot be bound: {error}"))
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

fn import_report(arguments: &[OsString]) -> ExitCode {
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        return say(import_report::HELP);
    }
    let order = import_report::read_arguments(arguments);
    let (order, database) = match (order, import_report::database(std::env::vars_os())) {
        (Ok(order), Ok(database)) => (order, database),
        (order, database) => {
            let problems: Vec<_> = [order.err(), database.err()].into_iter().flatten().collect();
            return fail(USAGE, problems.join("\n"));
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(|error| error.to_string()).and_then(|on| on.block_on(import_report::run(&order, database))) {
        Ok(done) if done.bad_rows == 0 => say(&done.report),
        Ok(done) => {
            let _ = say(&done.report);
            ExitCode::from(SOME_ROWS_UNREAD)
        }
        Err(problem) => fail(1, problem),
    }
}

fn preflight(arguments: &[OsString]) -> ExitCode {
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        return say(preflight::HELP);
    }
    let (order, database) = match (preflight::read_arguments(arguments), preflight::database(std::env::vars_os())) {
        (Ok(order), Ok(database)) => (order, database),
        (order, database) => {
            let problems: Vec<_> = [order.err(), database.err()].into_iter().flatten().collect();
            return fail(USAGE, problems.join("\n"));
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(|error| error.to_string()).and_then(|on| on.block_on(preflight::run(&order, database))) {
        Ok(findings) => {
            let said = say(&findings.to_string());
            match findings.record_problem() {
                Some(problem) => fail(1, problem),
                None if findings.is_ok() => said,
                None => ExitCode::FAILURE,
            }
        }
        Err(problem) => fail(1, problem),
    }
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
