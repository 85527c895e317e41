//! Visitor classes in SQL: `sql/functions/clicks/visitor.sql` declares this function.

use pgrx::prelude::*;
use postback_core::visitor;

#[pg_extern(sql = false)]
fn visitor_class(method: Option<&str>, purpose: Option<&str>, user_agent: Option<&str>) -> &'static str {
    visitor::classify(method.unwrap_or("GET"), purpose, user_agent).as_str()
}
