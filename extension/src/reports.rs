//! Reading a network's report in SQL: `sql/functions/reconcile/import_report.sql` declares these functions.

use pgrx::prelude::*;
use postback_core::{csv_line, money};

#[pg_extern(sql = false)]
fn csv_fields(line: &str, delimiter: &str) -> Option<Vec<String>> {
    csv_line::fields(line, delimiter.chars().next()?).ok()
}

#[pg_extern(sql = false)]
fn amount_problem(amount: Option<&str>, currency: Option<&str>) -> Option<String> {
    let checked = money::parse_amount(amount.unwrap_or_default()).and_then(|amount| {
        let currency = money::currency(currency.unwrap_or_default())?;
        money::check_scale(amount, currency)
    });
    checked.err().map(|error| error.to_string())
}
