//! The extension's maintenance: each task is a statement of its own, so that it commits by itself and has its own time. Not for:
//! what the tasks are, the extension says that.

use super::{CALL_DEADLINE, Database, Unanswered, described, in_time};
use deadpool_postgres::Object;
use std::sync::Arc;
use std::time::Duration;
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
        let connection = self.database.connection().await.map_err(|_| Unanswered::Unreachable)?;
        let mut connection = Some(connection);
        in_time(&mut connection, CALL_DEADLINE, async |client| client.batch_execute(SET_TIMEOUT).await).await?;
        self.connection = connection;
        Ok(())
    }

    async fn query(&mut self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, String> {
        Ok(in_time(&mut self.connection, DEADLINE, async |client| client.query(sql, parameters).await).await?)
    }
}
