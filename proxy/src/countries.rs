//! In which country an address is, by a database in MaxMind's format that the operator gets and renews.
//!
//! Read into memory once, at the start. Not for: what a country says about a click, the extension's fraud rules judge that.

use maxminddb::{Reader, path};
use std::net::IpAddr;
use std::path::Path;

/// The database, if there is one.
#[derive(Default)]
pub struct Countries(Option<Reader<Vec<u8>>>);

impl Countries {
    pub fn open(file: &Path) -> Result<Self, String> {
        Reader::open_readfile(file).map(|reader| Countries(Some(reader))).map_err(|error| error.to_string())
    }

    pub fn are_known(&self) -> bool {
        self.0.is_some()
    }

    /// The code of two capital letters (ISO 3166-1). `None` also where the database is broken there: a tap is worth more than its country.
    pub fn of(&self, client: IpAddr) -> Option<&str> {
        let found = self.0.as_ref()?.lookup(client.to_canonical()).ok()?;
        let code: &str = found.decode_path(&path!["country", "iso_code"]).ok()??;
        (code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())).then_some(code)
    }
}
