//! What a failed database call means: whether it may be tried again, and what is known about its effect.
//!
//! The one place that knows SQLSTATEs. The HTTP side is a single line of this table: a request that could not be
//! recorded is answered 503 with Retry-After, whatever the reason. Nothing a client sends makes any other 5xx.

use crate::spool::OpenError;
use deadpool_postgres::BuildError;
use std::error::Error;
use std::fmt;
use std::io;
use tokio_postgres::error::SqlState;

/// Why a call brought no rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection could be had. Nothing was done.
    Unreachable,
    /// The function is missing or may not be called: it may be about to be installed. Nothing was done.
    Missing(SqlState),
    /// The database refused for now: deadlock, serialization, lock or resource limit. Nothing was done.
    Busy(SqlState),
    /// The connection broke or nothing came back in time. It may have been committed.
    Lost,
    /// A row with this id exists: an earlier, unanswered try got through.
    Duplicate,
    /// The database will not do this, however often it is asked.
    Refused(SqlState),
}

impl Failure {
    /// Reads an error of tokio-postgres.
    pub fn of(error: &tokio_postgres::Error) -> Self {
        match error.code() {
            Some(state) => Self::of_state(state),
            None if error.is_closed() || is_broken_transport(error) => Failure::Lost,
            // A value the driver could not encode, or a column it could not decode: our fault, and a lasting one.
            None => Failure::Refused(SqlState::INTERNAL_ERROR),
        }
    }

    fn of_state(state: &SqlState) -> Self {
        match (state.code(), &state.code()[..2]) {
            ("23505", _) => Failure::Duplicate,
            // 25006: the server has become a read-only standby; the next connection looks for the primary.
            (_, "08") | ("25006", _) => Failure::Lost,
            (code, "57") if code.starts_with("57P") => Failure::Lost,
            // 57014: it took longer than statement_timeout.
            (_, "53") | ("40001" | "40P01" | "55P03" | "57014", _) => Failure::Busy(state.clone()),
            _ => Failure::Refused(state.clone()),
        }
    }

    /// Whether the request is to blame: with other data the same call would have worked. A function that is missing or may
    /// not be called is nobody's data; an internal error is, when it comes with one request and not with its neighbours.
    pub fn blames_the_data(&self) -> bool {
        match self {
            Failure::Duplicate => true,
            Failure::Refused(state) => matches!(&state.code()[..2], "21" | "22" | "23" | "54" | "P0" | "PB" | "XX"),
            Failure::Unreachable | Failure::Missing(_) | Failure::Lost | Failure::Busy(_) => false,
        }
    }

    /// Whether the same call may work in a moment, although the request is to blame if it does not.
    pub fn may_pass(&self) -> bool {
        match self {
            Failure::Duplicate => true,
            Failure::Refused(state) => state.code().starts_with("XX"),
            _ => false,
        }
    }

    /// Whether the connection is of no further use.
    pub fn needs_new_connection(&self) -> bool {
        matches!(self, Failure::Lost | Failure::Unreachable | Failure::Missing(_))
    }

    /// Whether it may be one of several rows that the database will not take. Running out of time says nothing of them.
    pub fn is_about_the_data(&self) -> bool {
        matches!(self, Failure::Duplicate | Failure::Refused(_)) && *self != Failure::Refused(SqlState::QUERY_CANCELED)
    }

    /// The SQLSTATE, or the word that stands for having none; the label in the metrics.
    pub fn label(&self) -> &str {
        match self {
            Failure::Unreachable => "unreachable",
            Failure::Lost => "lost",
            Failure::Duplicate => "23505",
            Failure::Missing(state) | Failure::Busy(state) | Failure::Refused(state) => state.code(),
        }
    }
}

fn is_broken_transport(error: &tokio_postgres::Error) -> bool {
    error.source().is_some_and(|source| source.is::<io::Error>())
}

/// Why a database is not used although it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It has the extension in a version whose functions may differ.
    Version { installed: String },
    /// With this setting it may forget what it has committed.
    Unsafe { setting: &'static str },
}

impl fmt::Display for Unfit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::Version { installed } => write!(
                formatter,
                "the extension is version \"{installed}\", the proxy \"{}\"; install the same minor version of both",
                env!("CARGO_PKG_VERSION")
            ),
            Unfit::Unsafe { setting } => write!(
                formatter,
                "the database has {setting}=off: a crash would lose what was answered; switch it on, \
                 or set POSTBACK_ALLOW_UNSAFE=on where losing clicks does not matter"
            ),
        }
    }
}

/// Why the proxy cannot start.
#[derive(Debug)]
pub enum RunError {
    /// A listener could not be handed to the runtime.
    Listener(io::Error),
    /// The pool of database connections could not be set up.
    Pool(BuildError),
    /// The TLS of outbound deliveries could not be set up.
    Tls(rustls::Error),
    /// The database must not be used.
    Unfit(Unfit),
    /// The spool cannot be used.
    Spool(OpenError),
}

impl fmt::Display for RunError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Listener(error) => {
                write!(formatter, "a listening socket cannot be used: {error}")
            }
            RunError::Pool(error) => {
                write!(formatter, "the database pool cannot be set up: {error}")
            }
            RunError::Tls(error) => {
                write!(formatter, "the TLS of deliveries cannot be set up: {error}")
            }
            RunError::Unfit(unfit) => unfit.fmt(formatter),
            RunError::Spool(error) => error.fmt(formatter),
        }
    }
}

impl Error for RunError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlstates_fall_into_their_classes() {
        let of = |code: &str| Failure::of_state(&SqlState::from_code(code));
        assert_eq!(of("08006"), Failure::Lost);
        assert_eq!(of("57P01"), Failure::Lost);
        assert_eq!(of("25006"), Failure::Lost);
        assert_eq!(of("23505"), Failure::Duplicate);
        for code in ["40001", "40P01", "55P03", "57014", "53300", "53100"] {
            assert_eq!(of(code), Failure::Busy(SqlState::from_code(code)));
        }
        for code in ["22P02", "42883", "XX000", "P0001"] {
            assert_eq!(of(code), Failure::Refused(SqlState::from_code(code)));
        }
        for (code, is_about_the_data) in [("57014", false), ("22P02", true), ("23505", true), ("08006", false)] {
            assert_eq!(of(code).is_about_the_data(), is_about_the_data, "{code}");
        }
    }

    #[test]
    fn only_trouble_with_the_data_makes_a_dead_letter() {
        let blames = |code: &str| Failure::of_state(&SqlState::from_code(code)).blames_the_data();
        for code in ["22P02", "23514", "23505", "P0001", "PB201", "XX000"] {
            assert!(blames(code), "{code}");
        }
        for code in ["42883", "42501", "3F000", "53100", "57014", "40P01", "08006", "25006"] {
            assert!(!blames(code), "{code}");
        }
    }
}
