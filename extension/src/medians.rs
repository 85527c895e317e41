//! Medians in SQL: `sql/functions/reports/count_rows.sql` declares this function.

use pgrx::prelude::*;
use postback_core::median;

#[pg_extern(sql = false)]
fn median_of_packed(numbers: &[u8]) -> Option<i32> {
    median::of_packed(numbers)
}
