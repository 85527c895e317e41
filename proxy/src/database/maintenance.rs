//! The extension's maintenance: each task is a statement of its own, so that it commits by itself and has its own time. Not for:
//! what the tasks are, the extension says that.

use super::{CALL_DEADLINE, Database, described};
use deadpool_postgres::Object;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

const TASKS: &str = "SELECT t FROM postback.maintenance_tasks() AS t";

const MAINTAIN: &str = "SELECT done FROM postback.maintain(tasks => ARRAY[$1::text])";

const SET_TIMEOUT: &str = "SET statement_timeout = '55s'";

/// Longer than the statement timeout: past it, the network or the server is gone.
const DEADLINE: Duration = Duration::from_secs(60);

/// Keeps a connection to itself, with a timeout that no other has.
pub struct Maintenance {
    database: Arc<Database>,
    connection: Option<Object>,
}

impl Maintenance {
    pub fn new(database: Arc<Database>) -> Self {
        Maintenance { database, connection: None }
    }

    /// The tasks in their order.
    pub async fn tasks(&mut self) -> Result<Vec<String>, String> {
        self.connect().await?;
        let rows = self.query(TASKS, &[]).await?;
        rows.iter().map(|row| row.try_get(0).map_err(|error| described(&error))).collect()
    }

    /// Does one task.
    pub async fn run(&mut self, task: &str) -> Result<(), String> {
        self.query(MAINTAIN, &[&task]).await.map(drop)
    }

    /// Takes a connection unless there is one.
    pub async fn connect(&mut self) -> Result<(), String> {
        if self.connection.as_ref().is_some_and(|connection| self.database.may_use(connection)) {
            return Ok(());
        }
        let connection = self.database.connection().await.map_err(|_| "the database cannot be reached".to_owned())?;
        match timeout(CALL_DEADLINE, connection.batch_execute(SET_TIMEOUT)).await {
            Ok(Ok(())) => {
                self.connection = Some(connection);
                Ok(())
            }
            failed => {
                drop(Object::take(connection));
                Err(match failed {
                    Ok(Err(error)) => described(&error),
                    _ => format!("no answer within {} s", CALL_DEADLINE.as_secs()),
                })
            }
        }
    }

    async fn query(&mut self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, String> {
        let connection = self.connection.take().ok_or_else(|| "there is no connection".to_owned())?;
        match timeout(DEADLINE, connection.query(sql, parameters)).await {
            Ok(result) => {
                self.connection = Some(connection);
                result.map_err(|error| described(&error))
            }
            Err(_) => {
                drop(Object::take(connection));
                Err(format!("no answer within {} s", DEADLINE.as_secs()))
            }
        }
    }
}
