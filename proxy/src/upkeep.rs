//! What goes on beside the requests: learning the key of the short codes, and the extension's own maintenance.

use crate::database::Database;
use crate::error::RunError;
use crate::redirect::KnownKey;
use deadpool_postgres::Object;
use postback_core::short_code::CodeKey;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, sleep};

const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Learns the key as soon as the database answers, and again behind every new connection. Ends only when the
/// extension's version does not fit.
pub async fn keep_key(database: Arc<Database>, key: Arc<KnownKey>) -> RunError {
    let mut told = String::new();
    let mut pause = FIRST_PAUSE;
    loop {
        match learn(&database).await {
            Ok((_, version)) if !fits(&version) => return RunError::Version { installed: version },
            Ok((code_key, _)) => {
                if !key.is_known() {
                    tracing::info!("the key of the short codes is known");
                }
                key.set(code_key);
                told.clear();
                pause = FIRST_PAUSE;
                database.connected.notified().await;
            }
            Err(reason) => {
                // The same reason again and again is one line.
                if reason != told {
                    tracing::error!(reason, "the key of the short codes cannot be read; is the extension installed?");
                    told = reason;
                }
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

async fn learn(database: &Database) -> Result<(CodeKey, String), String> {
    let version = database.version().await?;
    let bytes = database.code_key().await?;
    let key = CodeKey::new(&bytes).ok_or_else(|| "the key of the short codes has an illegal length".to_owned())?;
    Ok((key, version))
}

/// The functions between the two may change with the minor version.
fn fits(installed: &str) -> bool {
    major_and_minor(installed) == major_and_minor(env!("CARGO_PKG_VERSION"))
}

fn major_and_minor(version: &str) -> Option<(&str, &str)> {
    let (major, rest) = version.split_once('.')?;
    Some((major, rest.split_once('.').map_or(rest, |(minor, _)| minor)))
}

/// Calls the extension's maintenance now and each minute.
pub async fn maintain(database: Arc<Database>) {
    let mut connection: Option<Object> = None;
    let mut told = String::new();
    let mut ticks = interval(MAINTENANCE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match database.maintain(&mut connection).await {
            Ok(()) => told.clear(),
            Err(reason) if reason == told => {}
            Err(reason) => {
                tracing::error!(reason, "maintenance failed");
                told = reason;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_fit_by_major_and_minor() {
        let (major, minor) = major_and_minor(env!("CARGO_PKG_VERSION")).unwrap();
        assert!(fits(&format!("{major}.{minor}.99")));
        assert!(fits(&format!("{major}.{minor}")));
        assert!(!fits(&format!("{major}.{minor}9.0")));
        assert!(!fits("unknown"));
    }
}
