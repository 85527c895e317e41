//! Errors as Postgres wants them: an SQLSTATE, one sentence, a hint. Raised as a proper ereport, so that no user sees a
//! Rust backtrace in a DETAIL.

use pgrx::PgLogLevel;
use pgrx::pg_sys::errcodes::PgSqlErrorCode;
use pgrx::pg_sys::panic::ErrorReport;

/// Raises an ERROR. Does not return; the `T` stands for whatever the caller would have returned.
pub fn raise<T>(code: PgSqlErrorCode, message: String, hint: &str) -> T {
    let report = ErrorReport::new(code, message, "postback");
    let report = if hint.is_empty() { report } else { report.set_hint(hint) };
    report.report(PgLogLevel::ERROR);
    unreachable!("a report at ERROR does not return")
}
