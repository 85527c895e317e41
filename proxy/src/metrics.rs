//! What the proxy counts, in Prometheus' terms. Names end in their unit; nothing a client chose becomes a label.

use crate::outbound_client::{Answer, SendError};
use crate::spool::Totals;
use hyper::StatusCode;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The routes as they are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteLabel {
    Code,
    Click,
    Postback,
    Page,
    Other,
}

const ROUTES: [&str; 5] = ["code", "click", "postback", "page", "other"];
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// The calls the database is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    Clicks,
    Postbacks,
    ClaimDeliveries,
    FinishDeliveries,
    NextDelivery,
}

const CALLS: [&str; 5] =
    ["record_clicks", "receive_postbacks", "claim_deliveries", "finish_deliveries", "next_delivery_at"];

/// The words the extension answers with. Others are counted as `other`: a label must not grow without bound.
const VISITORS: [&str; 7] = ["human", "preview", "prefetch", "head", "bot", "datacenter", "suspect"];
const VERDICTS: [&str; 12] = [
    "accepted",
    "updated",
    "duplicate",
    "stale",
    "unmatched",
    "outside_window",
    "unmapped_status",
    "illegal_transition",
    "conflict",
    "unauthenticated",
    "malformed",
    "test",
];

/// How an attempt to deliver ends: the class of the answer's status, or why there was none.
const OUTCOMES: [&str; 12] = [
    "1xx",
    "2xx",
    "3xx",
    "4xx",
    "5xx",
    "illegal",
    "unresolved",
    "forbidden_address",
    "unreachable",
    "tls",
    "broken",
    "timeout",
];

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// All counters, made once; what the hot path needs is looked up beforehand.
pub struct Metrics {
    registry: Registry,
    requests: [[Counter; CLASSES.len()]; ROUTES.len()],
    visitors: Vec<Counter>,
    verdicts: Vec<Counter>,
    batch_sizes: [Histogram; CALLS.len()],
    call_seconds: [Histogram; CALLS.len()],
    database_errors: Family<Vec<(&'static str, String)>, Counter>,
    pub connections: Gauge,
    pub unreadable_requests: Counter,
    deliveries: Vec<Counter>,
    pub deliveries_in_flight: Gauge,
    delivery_seconds: Histogram,
    click_queue: Gauge,
    postback_queue: Gauge,
    spooled: [Counter; CALLS.len()],
    drained: [Counter; CALLS.len()],
    dead_letters: Counter,
    unreadable: Counter,
    unrecorded: Counter,
    spool: SpoolGauges,
}

/// What the spool holds when the metrics are asked for.
#[derive(Default)]
struct SpoolGauges {
    records: Gauge,
    bytes: Gauge,
    oldest_age: Gauge,
    files_put_beside: Gauge,
}

impl Metrics {
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("postback");
        let requests = Family::<Labels<2>, Counter>::default();
        registry.register("requests", "Requests answered, by route and class of status", requests.clone());
        let visitors = Family::<Labels<1>, Counter>::default();
        registry.register("clicks", "Clicks recorded, by class of visitor", visitors.clone());
        let verdicts = Family::<Labels<1>, Counter>::default();
        registry.register("postbacks", "Postbacks recorded, by verdict", verdicts.clone());
        let batch_sizes =
            Family::<Labels<1>, Histogram>::new_with_constructor(|| Histogram::new(exponential_buckets(1.0, 2.0, 11)));
        registry.register("batch_size", "Requests in one database call", batch_sizes.clone());
        let call_seconds = Family::<Labels<1>, Histogram>::new_with_constructor(|| {
            Histogram::new(exponential_buckets(0.0005, 2.0, 15))
        });
        registry.register("call_duration_seconds", "Time of one database call", call_seconds.clone());
        let database_errors = Family::<Vec<(&'static str, String)>, Counter>::default();
        registry.register("database_errors", "Database calls that failed, by SQLSTATE", database_errors.clone());
        let connections = Gauge::default();
        registry.register("connections", "Client connections open", connections.clone());
        let unreadable_requests = Counter::default();
        let described = "What came and is no HTTP, or has too long a head: answered 400, 414 or 431";
        registry.register("unreadable_requests", described, unreadable_requests.clone());
        let deliveries = Family::<Labels<1>, Counter>::default();
        registry.register("deliveries", "Attempts to deliver, by outcome", deliveries.clone());
        let deliveries_in_flight = Gauge::default();
        let described = "Deliveries sent whose answer has not come";
        registry.register("deliveries_in_flight", described, deliveries_in_flight.clone());
        let delivery_seconds = Histogram::new(exponential_buckets(0.001, 2.0, 16));
        registry.register("delivery_duration_seconds", "Time of one attempt to deliver", delivery_seconds.clone());
        let queues = Family::<Labels<1>, Gauge>::default();
        registry.register("queue_depth", "Requests waiting for the database", queues.clone());
        let spooled = Family::<Labels<1>, Counter>::default();
        registry.register("spooled", "Requests put into the spool", spooled.clone());
        let drained = Family::<Labels<1>, Counter>::default();
        registry.register("drained", "Requests of the spool that the database took", drained.clone());
        let dead_letters = Counter::default();
        registry.register("dead_letters", "Spooled requests that the database refused for good", dead_letters.clone());
        let unreadable = Counter::default();
        registry.register(
            "spool_unreadable",
            "Records of the spool put beside: damaged, or refused as dead letters",
            unreadable.clone(),
        );
        let unrecorded = Counter::default();
        registry.register(
            "clicks_unrecorded",
            "Taps redirected that neither database nor spool took",
            unrecorded.clone(),
        );
        let spool = SpoolGauges::default();
        registry.register("spool_records", "Requests in the spool", spool.records.clone());
        registry.register("spool_bytes", "Size of the requests in the spool", spool.bytes.clone());
        registry.register(
            "spool_oldest_age_seconds",
            "Age of the oldest request in the spool",
            spool.oldest_age.clone(),
        );
        registry.register(
            "spool_files_put_beside",
            "Spool files found corrupt since the start",
            spool.files_put_beside.clone(),
        );
        Metrics {
            requests: ROUTES
                .map(|route| CLASSES.map(|class| requests.get_or_create_owned(&[("route", route), ("status", class)]))),
            visitors: word_counters(&visitors, "visitor", &VISITORS),
            verdicts: word_counters(&verdicts, "verdict", &VERDICTS),
            batch_sizes: CALLS.map(|call| batch_sizes.get_or_create_owned(&[("call", call)])),
            call_seconds: CALLS.map(|call| call_seconds.get_or_create_owned(&[("call", call)])),
            click_queue: queues.get_or_create_owned(&[("call", CALLS[0])]),
            postback_queue: queues.get_or_create_owned(&[("call", CALLS[1])]),
            deliveries: word_counters(&deliveries, "outcome", &OUTCOMES),
            deliveries_in_flight,
            delivery_seconds,
            spooled: CALLS.map(|call| spooled.get_or_create_owned(&[("call", call)])),
            drained: CALLS.map(|call| drained.get_or_create_owned(&[("call", call)])),
            dead_letters,
            unreadable,
            unrecorded,
            spool,
            database_errors,
            connections,
            unreadable_requests,
            registry,
        }
    }

    pub fn count_request(&self, route: RouteLabel, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(2, 5) - 2;
        self.requests[route as usize][class].inc();
    }

    /// One call that returned rows.
    pub fn count_call(&self, kind: CallKind, size: usize, took: Duration) {
        self.batch_sizes[kind as usize].observe(size as f64);
        self.call_seconds[kind as usize].observe(took.as_secs_f64());
    }

    pub fn count_visitor(&self, visitor: &str) {
        count_word(&self.visitors, &VISITORS, visitor);
    }

    pub fn count_verdict(&self, verdict: &str) {
        count_word(&self.verdicts, &VERDICTS, verdict);
    }

    /// One attempt to deliver that has ended.
    pub fn count_delivery(&self, result: &Result<Answer, SendError>, took: Duration) {
        let word = match result {
            Ok(answer) => OUTCOMES[usize::from(answer.status / 100).clamp(1, 5) - 1],
            Err(error) => error.label(),
        };
        count_word(&self.deliveries, &OUTCOMES, word);
        self.delivery_seconds.observe(took.as_secs_f64());
    }

    pub fn count_database_error(&self, label: &str) {
        self.database_errors.get_or_create(&vec![("sqlstate", label.to_owned())]).inc();
    }

    pub fn count_spooled(&self, kind: CallKind, count: usize) {
        self.spooled[kind as usize].inc_by(count as u64);
    }

    pub fn count_drained(&self, kind: CallKind, count: usize) {
        self.drained[kind as usize].inc_by(count as u64);
    }

    pub fn count_dead_letter(&self) {
        self.dead_letters.inc();
    }

    pub fn count_unreadable(&self) {
        self.unreadable.inc();
    }

    pub fn count_unrecorded(&self, count: usize) {
        self.unrecorded.inc_by(count as u64);
    }

    pub fn set_spool(&self, totals: &Totals) {
        let read = |value: &AtomicU64| value.load(Ordering::Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let age = match read(&totals.oldest_unix_ms) {
            0 => 0,
            oldest => now.saturating_sub(oldest) / 1000,
        };
        self.spool.records.set(read(&totals.records) as i64);
        self.spool.bytes.set(read(&totals.bytes) as i64);
        self.spool.oldest_age.set(age as i64);
        self.spool.files_put_beside.set(read(&totals.files_put_beside) as i64);
    }

    /// The text of `/metrics`.
    pub fn render(&self, waiting_clicks: usize, waiting_postbacks: usize) -> Result<String, fmt::Error> {
        self.click_queue.set(waiting_clicks as i64);
        self.postback_queue.set(waiting_postbacks as i64);
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// A counter for each word, and one more for all others.
fn word_counters(family: &Family<Labels<1>, Counter>, label: &'static str, words: &[&'static str]) -> Vec<Counter> {
    words.iter().chain(&["other"]).map(|&word| family.get_or_create_owned(&[(label, word)])).collect()
}

fn count_word(counters: &[Counter], words: &[&str], word: &str) {
    let position = words.iter().position(|known| *known == word).unwrap_or(words.len());
    counters[position].inc();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_rendered() {
        let metrics = Metrics::new();
        metrics.count_request(RouteLabel::Code, StatusCode::FOUND);
        metrics.count_visitor("human");
        metrics.count_visitor("martian");
        metrics.count_call(CallKind::Clicks, 3, Duration::from_millis(2));
        metrics.count_database_error("40001");
        let answer = Answer { status: 204, retry_after: None, location: None, excerpt: String::new() };
        metrics.count_delivery(&Ok(answer), Duration::from_millis(3));
        metrics.count_delivery(&Err(SendError::TimedOut(Duration::from_secs(1))), Duration::from_secs(1));
        let text = metrics.render(5, 0).unwrap();
        for line in [
            "postback_requests_total{route=\"code\",status=\"3xx\"} 1",
            "postback_clicks_total{visitor=\"human\"} 1",
            "postback_clicks_total{visitor=\"other\"} 1",
            "postback_queue_depth{call=\"record_clicks\"} 5",
            "postback_database_errors_total{sqlstate=\"40001\"} 1",
            "postback_batch_size_count{call=\"record_clicks\"} 1",
            "postback_deliveries_total{outcome=\"2xx\"} 1",
            "postback_deliveries_total{outcome=\"timeout\"} 1",
            "postback_delivery_duration_seconds_count 2",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
