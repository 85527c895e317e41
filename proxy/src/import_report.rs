//! `postback-proxy import-report FILE`: streams a network's report into the database, with a progress bar on a terminal.
//!
//! What the columns mean, and which rows can be read, is decided by `postback.import_report()`; this parts the lines into
//! fields, which a COPY of whole lines cannot do where a quoted field goes over several. Everything is one transaction:
//! a file is imported as a whole or not at all. Memory does not grow with the file.

use crate::config;
use csv::{ByteRecord, ReaderBuilder};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use std::ffi::OsString;
use std::fmt::Display;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::PathBuf;
use std::pin::pin;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{NoTls, Transaction};

/// What `postback-proxy import-report --help` prints.
pub const HELP: &str = "\
Imports a network's own report, a CSV file with a header, to be compared with the conversions.

Usage: postback-proxy import-report FILE --network SLUG [OPTION VALUE]...

  --network SLUG       whose report it is [required]
  --format NAME        a row of postback.report_formats [that of the network's preset, else generic]
  --columns JSON       columns by field, such as '{\"click_id\": \"Sub ID\"}', over the format's
  --statuses JSON      status words, such as '{\"paid\": \"approved\"}', over the network's
  --time-zone NAME     zone of its times and days [the network's]
  --currency CODE      currency of amounts without one [the network's]
  --dates ORDER        ymd, mdy or dmy [the format's]
  --ignore CHARACTERS  taken out of amounts before they are read, such as '$,' [the format's]
  --first-day DATE     first day that the report covers [that of its rows]
  --last-day DATE      last day that it covers [that of its rows]
  --reconcile on       compare it at once

POSTBACK_DATABASE_URL says where the database is. FILE is - for standard input. Exits with 1 when nothing was imported,
with 2 when some rows could not be read: they are printed with their lines, and all others are there.
";

const COLUMNS: &str = "\
    SELECT array_agg(place ORDER BY place)::integer[] FROM postback.report_columns(
        $1::text, $2::text[], format => $3::text, columns => $4::text::jsonb)";

const COPY: &str = "COPY postback.report_lines (line_number, fields) FROM STDIN (FORMAT binary)";

const IMPORT: &str = "\
    SELECT import_id, row_count, bad_row_count, lower(days)::text, (upper(days) - 1)::text FROM postback.import_report(
        $1::text, format => $2::text, columns => $3::text::jsonb, time_zone => $4::text, currency => $5::text,
        dates => $6::text, statuses => $7::text::jsonb, ignored_in_amounts => $8::text, first_day => $9::text::date,
        last_day => $10::text::date, file_name => $11::text)";

/// More than this is no header, and its first part is enough to see what parts the fields.
const LONGEST_HEADER: u64 = 1 << 20;

const PROBLEMS: &str = "SELECT line, problem FROM postback.report_problems WHERE import_id = $1 ORDER BY line LIMIT 20";

const RECONCILE: &str = "\
    SELECT concat_ws(' ', kind, cause), found, round(100 * share, 3)::text FROM postback.reconcile($1)";

/// What the command line asks for.
#[derive(Debug, Default, PartialEq)]
pub struct Order {
    file: PathBuf,
    network: String,
    format: Option<String>,
    columns: Option<String>,
    statuses: Option<String>,
    time_zone: Option<String>,
    currency: Option<String>,
    dates: Option<String>,
    ignored: Option<String>,
    first_day: Option<String>,
    last_day: Option<String>,
    reconcile: bool,
}

/// Reads the arguments after `import-report`; on failure says what is wrong with them.
pub fn read_arguments(arguments: &[OsString]) -> Result<Order, String> {
    let mut order = Order::default();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let name = argument.to_str().unwrap_or_default();
        if !name.starts_with("--") {
            if !order.file.as_os_str().is_empty() {
                return Err("import-report takes one file".to_owned());
            }
            order.file = PathBuf::from(argument);
            continue;
        }
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (name, arguments.next().and_then(|value| value.to_str())),
        };
        let value = value.ok_or_else(|| format!("{name} has no value"))?.to_owned();
        match name {
            "--network" => order.network = value,
            "--format" => order.format = Some(value),
            "--columns" => order.columns = Some(object(name, value)?),
            "--statuses" => order.statuses = Some(object(name, value)?),
            "--time-zone" => order.time_zone = Some(value),
            "--currency" => order.currency = Some(value),
            "--dates" => order.dates = Some(value),
            "--ignore" => order.ignored = Some(value),
            "--first-day" => order.first_day = Some(value),
            "--last-day" => order.last_day = Some(value),
            "--reconcile" if value == "on" => order.reconcile = true,
            "--reconcile" if value == "off" => order.reconcile = false,
            "--reconcile" => return Err(format!("--reconcile \"{value}\" is neither on nor off")),
            _ => return Err(format!("import-report has no option \"{name}\"; see import-report --help")),
        }
    }
    if order.file.as_os_str().is_empty() {
        return Err("import-report needs a file, or - for standard input".to_owned());
    }
    if order.network.is_empty() {
        return Err("import-report needs --network".to_owned());
    }
    Ok(order)
}

fn object(name: &str, value: String) -> Result<String, String> {
    match serde_json::from_str::<Value>(&value) {
        Ok(Value::Object(_)) => Ok(value),
        _ => Err(format!("{name} is not a JSON object")),
    }
}

/// What came of an import that was committed.
pub struct Done {
    /// For the screen.
    pub report: String,
    /// How many rows could not be read.
    pub bad_rows: i64,
}

/// Imports the file and commits; on failure nothing of it is there.
pub async fn run(order: &Order, database: tokio_postgres::Config) -> Result<Done, String> {
    let bar = ProgressBar::no_length();
    let mut file = open(order, &bar)?;
    // A pipe may give it in pieces.
    let mut header = Vec::new();
    file.by_ref().take(LONGEST_HEADER).read_until(b'\n', &mut header).map_err(|error| unreadable(order, error))?;
    if header.starts_with(b"\xff\xfe") || header.starts_with(b"\xfe\xff") {
        return Err(unreadable(order, "it is in UTF-16; save it as UTF-8"));
    }
    let (delimiter, has_crlf) = (delimiter(&header), header.ends_with(b"\r\n"));
    // So that each line has an end: where the reader stands is then behind it.
    let end: &[u8] = if has_crlf { b"\r\n" } else { b"\n" };
    let whole = Cursor::new(header).chain(file).chain(end);
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(whole);

    let (mut client, connection) = database.connect(NoTls).await.map_err(described)?;
    let connection = tokio::spawn(connection);
    let transaction = client.transaction().await.map_err(described)?;
    copy(order, &mut reader, has_crlf, &transaction).await?;
    bar.finish_and_clear();
    let done = import(order, &transaction).await?;
    transaction.commit().await.map_err(described)?;
    drop(client);
    connection.await.map_err(|error| error.to_string())?.map_err(described)?;
    Ok(done)
}

fn open(order: &Order, bar: &ProgressBar) -> Result<BufReader<Box<dyn Read>>, String> {
    if order.file.as_os_str() == "-" {
        return Ok(BufReader::new(Box::new(bar.wrap_read(std::io::stdin()))));
    }
    let file = File::open(&order.file).map_err(|error| unreadable(order, error))?;
    bar.set_length(file.metadata().map_err(|error| unreadable(order, error))?.len());
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left") {
        bar.set_style(style);
    }
    Ok(BufReader::with_capacity(1 << 18, Box::new(bar.wrap_read(file))))
}

/// What parts the fields of the header: the most frequent of comma, semicolon, tab and bar.
fn delimiter(header: &[u8]) -> u8 {
    let count = |delimiter: u8| header.iter().filter(|byte| **byte == delimiter).count();
    // The last of equals is chosen, and the comma is to be it.
    b"|\t;,".iter().copied().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',')
}

/// Sends the columns that are needed, the header first; others may be many.
async fn copy<R: Read>(
    order: &Order,
    reader: &mut csv::Reader<R>,
    has_crlf: bool,
    transaction: &Transaction<'_>,
) -> Result<(), String> {
    let mut record = ByteRecord::new();
    if !reader.read_byte_record(&mut record).map_err(|error| unreadable(order, error))? {
        return Err(unreadable(order, "it is empty"));
    }
    let header = fields(&record, 0..record.len());
    let width = record.len();
    let places: Option<Vec<i32>> = transaction
        .query_one(COLUMNS, &[&order.network, &header, &order.format, &order.columns])
        .await
        .map_err(described)?
        .get(0);
    let places: Vec<usize> = places.unwrap_or_default().iter().map(|place| *place as usize - 1).collect();

    let sink = transaction.copy_in(COPY).await.map_err(described)?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &[Type::INT8, Type::TEXT_ARRAY]));
    let mut line = 1;
    loop {
        // What goes beyond the header tells the database that this row is not what it seems.
        let surplus =
            (width..record.len()).find(|place| record.get(*place).is_some_and(|field| !field.trim_ascii().is_empty()));
        let row: [&(dyn ToSql + Sync); 2] = [&line, &fields(&record, places.iter().copied().chain(surplus))];
        writer.as_mut().write(&row).await.map_err(described)?;
        if !reader.read_byte_record(&mut record).map_err(|error| unreadable(order, error))? {
            break;
        }
        line = first_line(&record, reader, has_crlf).max(line + 1);
    }
    writer.finish().await.map_err(described)?;
    Ok(())
}

/// The line that a record which was just read begins on. Its own position is before the empty lines that were skipped. The reader
/// stands behind its line feed, but for a CRLF, of which it leaves the line feed to the next record.
fn first_line<R: Read>(record: &ByteRecord, reader: &csv::Reader<R>, has_crlf: bool) -> i64 {
    let inside = record.as_slice().iter().filter(|byte| **byte == b'\n').count() as i64;
    reader.position().line() as i64 - inside - i64::from(!has_crlf)
}

/// These fields of a record. What is no text of UTF-8 keeps its place, and the row says so when it matters.
fn fields(record: &ByteRecord, places: impl Iterator<Item = usize>) -> Vec<Option<String>> {
    places
        .map(|place| record.get(place).map(|field| String::from_utf8_lossy(field).replace('\0', "\u{fffd}")))
        .collect()
}

async fn import(order: &Order, transaction: &Transaction<'_>) -> Result<Done, String> {
    let name = order.file.file_name().map(|name| name.to_string_lossy().into_owned());
    let row = transaction
        .query_one(
            IMPORT,
            &[
                &order.network,
                &order.format,
                &order.columns,
                &order.time_zone,
                &order.currency,
                &order.dates,
                &order.statuses,
                &order.ignored,
                &order.first_day,
                &order.last_day,
                &name,
            ],
        )
        .await
        .map_err(described)?;
    let (import_id, rows, bad_rows): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    let (first, last): (String, String) = (row.get(3), row.get(4));
    let mut report = format!("import {import_id}: {rows} rows, {first} to {last}, {bad_rows} could not be read\n");
    for problem in transaction.query(PROBLEMS, &[&import_id]).await.map_err(described)? {
        let (line, problem): (i64, String) = (problem.get(0), problem.get(1));
        report += &format!("  line {line}: {problem}\n");
    }
    if bad_rows > 20 {
        report += &format!("  and {} more, see postback.report_problems\n", bad_rows - 20);
    }
    if order.reconcile {
        for row in transaction.query(RECONCILE, &[&import_id]).await.map_err(described)? {
            let (what, found, share): (String, i64, String) = (row.get(0), row.get(1), row.get(2));
            report += &format!("{what:<40}{found:>12}{share:>9} %\n");
        }
    }
    Ok(Done { report, bad_rows })
}

/// The database's own sentence, with its hint.
fn described(error: tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(refusal) => [Some(refusal.message()), refusal.hint()].into_iter().flatten().collect::<Vec<_>>().join("\n"),
        None => crate::database::described(&error),
    }
}

fn unreadable(order: &Order, problem: impl Display) -> String {
    format!("\"{}\" cannot be read: {problem}", order.file.display())
}

/// Where the database is, from the environment.
pub fn database(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<tokio_postgres::Config, String> {
    config::read_database(variables).map_err(|problems| problems.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Order, String> {
        read_arguments(&arguments.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn a_file_and_a_network_are_enough() {
        let order = read(&["march.csv", "--network", "tune"]).unwrap();
        let expected = Order { file: "march.csv".into(), network: "tune".to_owned(), ..Order::default() };
        assert_eq!(order, expected);
        assert_eq!(read(&["--network=tune", "march.csv"]).unwrap(), expected);
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        let cases: [(&[&str], &str); 7] = [
            (&[], "needs a file"),
            (&["a.csv"], "needs --network"),
            (&["a.csv", "b.csv", "--network", "n"], "one file"),
            (&["a.csv", "--network"], "--network has no value"),
            (&["a.csv", "--network", "n", "--colour", "red"], "\"--colour\""),
            (&["a.csv", "--network="], "needs --network"),
            (&["a.csv", "--network", "n", "--columns", "Sub ID"], "not a JSON object"),
        ];
        for (arguments, expected) in cases {
            let problem = read(arguments).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
    }

    #[test]
    fn delimiter_is_what_the_header_has_most_of() {
        for (header, expected) in [("a,b;c,d", b','), ("a;b;c,d", b';'), ("a\tb", b'\t'), ("time", b','), ("", b',')] {
            assert_eq!(delimiter(header.as_bytes()), expected, "{header:?}");
        }
    }
}
