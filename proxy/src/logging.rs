//! The log: JSON lines on stderr, one per problem. No secret, phone number, click id or URL of a client is in it.

use std::panic;
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Our own lines from this level up, other crates' warnings and errors.
pub fn start(level: Level) {
    let others = LevelFilter::WARN.min(LevelFilter::from_level(level));
    let targets = Targets::new()
        .with_default(others)
        .with_target("postback_proxy", level)
        // Tells of each lost connection on its own; `database.rs` says it once.
        .with_target("deadpool.postgres", LevelFilter::OFF);
    let layer = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(std::io::stderr);
    tracing_subscriber::registry().with(layer).with(targets).init();
    // The message of a panic may quote what a client sent; the place is enough to find it.
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a task panicked");
    }));
}
