//! What goes on beside the requests: learning the key of the short codes and the routes, and the
//! extension's own maintenance.

use crate::database::Database;
use crate::database::maintenance::Maintenance;
use crate::directory::Directory;
use crate::error::RunError;
use crate::redirect::KnownKey;
use crate::spool::Totals;
use postback_core::short_code::CodeKey;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(60);
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How often the newest sends are asked for, and every how many times everything is.
const ROUTES_INTERVAL: Duration = Duration::from_secs(5);
const ROUNDS_TO_ALL: u32 = 12;

/// Learns the key as soon as the database answers, again behind every new connection, and every few seconds, with a look whether the
/// database may still be used. Ends when the first one that answers must not be; later such a one is as good as none, as long as the key
/// is known.
pub async fn keep_key(database: Arc<Database>, key: Arc<KnownKey>, directory: Option<Arc<Directory>>) -> RunError {
    let mut is_first_try = true;
    let mut told = String::new();
    let mut pause = FIRST_PAUSE;
    loop {
        match learn(&database).await {
            Ok((code_key, key_bytes)) => {
                if let Some(directory) = directory.clone() {
                    on_disk(move || directory.keep_key(&key_bytes)).await;
                }
                if !key.is_known() {
                    tracing::info!("the key of the short codes is known");
                }
                key.set(code_key);
                told.clear();
                pause = FIRST_PAUSE;
                // Either way it is asked again.
                let _ = timeout(CHECK_INTERVAL, database.connected.notified()).await;
            }
            Err(reason) => {
                if (is_first_try || !key.is_known())
                    && let Some(unfit) = database.unfit()
                {
                    return RunError::Unfit(unfit);
                }
                // The same reason again and again is one line.
                if reason != told {
                    tracing::error!(reason, "the key of the short codes cannot be read; is the extension installed?");
                    told = reason;
                }
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        is_first_try = false;
    }
}

/// Work that waits for a disk: not on a thread that answers clients.
async fn on_disk(work: impl FnOnce() + Send + 'static) {
    if let Err(error) = spawn_blocking(work).await {
        tracing::error!(%error, "the files of the spool's directory could not be looked after");
    }
}

async fn learn(database: &Database) -> Result<(CodeKey, Vec<u8>), String> {
    database.check().await?;
    let key_bytes = database.code_key().await?;
    let code_key =
        CodeKey::new(&key_bytes).ok_or_else(|| "the key of the short codes has an illegal length".to_owned())?;
    Ok((code_key, key_bytes))
}

/// Keeps the directory up to date.
pub async fn keep_routes(database: Arc<Database>, directory: Arc<Directory>) {
    let mut told = String::new();
    let mut round = 0;
    let mut ticks = interval(ROUTES_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let known = directory.table();
        let are_all = round % ROUNDS_TO_ALL == 0;
        match database.routes(if are_all { 0 } else { known.sends_to_ask_after() }).await {
            Ok(rows) => {
                let directory = Arc::clone(&directory);
                on_disk(move || directory.replace(known.with(rows, are_all))).await;
                round += 1;
                told.clear();
            }
            Err(reason) => {
                // Perhaps another server answers next.
                round = 0;
                ticks.reset_after(FIRST_PAUSE * 10);
                if reason != told {
                    tracing::error!(reason, "the routes cannot be read");
                    told = reason;
                }
            }
        }
    }
}

/// Does the extension's maintenance now and each minute, task by task, and tells before what is in the spool, if there is one.
pub async fn maintain(database: Arc<Database>, listen: String, spool: Option<Arc<Totals>>) {
    let mut maintenance = Maintenance::new(Arc::clone(&database));
    let mut told = Told::default();
    let mut ticks = interval(MAINTENANCE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(totals) = &spool {
            told.log("report_spool", database.report_spool(&listen, totals).await);
        }
        let result = run_tasks(&mut maintenance, &mut told).await;
        told.log("maintenance_tasks", result);
    }
}

/// One that fails does not keep the others, but where there is no database none is tried.
async fn run_tasks(maintenance: &mut Maintenance, told: &mut Told) -> Result<(), String> {
    for task in maintenance.tasks().await? {
        maintenance.connect().await?;
        told.log(&task, maintenance.run(&task).await);
    }
    Ok(())
}

/// Why each task failed the last time.
#[derive(Default)]
struct Told(HashMap<String, String>);

impl Told {
    fn log(&mut self, task: &str, result: Result<(), String>) {
        if let Some(reason) = self.news(task, result) {
            tracing::error!(task, reason, "maintenance failed");
        }
    }

    /// The reason, unless the task has failed for it the last time already.
    fn news(&mut self, task: &str, result: Result<(), String>) -> Option<String> {
        match result {
            Ok(()) => {
                self.0.remove(task);
                None
            }
            Err(reason) if self.0.get(task) == Some(&reason) => None,
            Err(reason) => {
                self.0.insert(task.to_owned(), reason.clone());
                Some(reason)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tasks_reason_is_told_once_until_it_changes_or_the_task_succeeds() {
        let mut told = Told::default();
        let failed = |reason: &str| Err(reason.to_owned());
        assert_eq!(told.news("one", failed("locked")).as_deref(), Some("locked"));
        assert_eq!(told.news("two", failed("locked")).as_deref(), Some("locked"));
        assert_eq!(told.news("two", Ok(())), None);
        assert_eq!(told.news("one", failed("locked")), None);
        assert_eq!(told.news("one", failed("slow")).as_deref(), Some("slow"));
        assert_eq!(told.news("two", failed("locked")).as_deref(), Some("locked"));
    }
}
