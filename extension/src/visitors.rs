//! Visitor classes in SQL: `sql/functions/clicks/visitor.sql` declares this function.

use pgrx::prelude::*;
use postback_core::visitor::{self, Visitor};

#[pg_extern(sql = false)]
fn visitor_class(method: Option<&str>, purpose: Option<&str>, user_agent: Option<&str>) -> &'static str {
    let method = method.unwrap_or("GET");
    // NULL is "not told": the application that records a bare click vouches for it. A request without the header is ''.
    if method == "GET" && purpose.is_none() && user_agent.is_none() {
        return Visitor::Human.as_str();
    }
    visitor::classify(method, purpose, user_agent).as_str()
}
