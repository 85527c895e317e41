//! The admin listener: `/healthz` (the process), `/readyz` (whether taps and postbacks can be recorded now), `/metrics`
//! (Prometheus text) and `/domains/{domain}` (whether links have it, for whoever makes certificates on demand). Not for the
//! public: bind it where only the operator and the balancer reach it.

use crate::answer::{self, Answer};
use crate::database::Database;
use crate::metrics::Metrics;
use crate::offline::Offline;
use crate::redirect::KnownKey;
use crate::routes::{Backend, Routes};
use crate::server::{Handler, Phase};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderValue;
use hyper::{Method, Request, StatusCode, Uri};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

const PROBE_DEADLINE: Duration = Duration::from_secs(1);

const SPOOLING: &str = "spooling: the database does not take requests\n";

/// What the probes look at.
pub struct Health {
    pub database: Option<Arc<Database>>,
    pub key: Arc<KnownKey>,
    pub offline: Option<Arc<Offline>>,
    pub metrics: Arc<Metrics>,
    pub routes: Arc<Routes>,
    pub phase: watch::Receiver<Phase>,
}

impl Handler for Health {
    async fn handle(&self, _peer: IpAddr, request: Request<Incoming>) -> Answer {
        let path = request.uri().path();
        let domain = domain_in(request.uri());
        if domain.is_none() && !matches!(path, "/healthz" | "/readyz" | "/metrics") {
            return answer::not_found();
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return answer::method_not_allowed("GET, HEAD");
        }
        match path {
            "/healthz" => answer::plain(StatusCode::OK, "ok\n"),
            "/readyz" => match self.readiness().await {
                Ok(word) => answer::plain(StatusCode::OK, word),
                Err(reason) => answer::plain(StatusCode::SERVICE_UNAVAILABLE, reason),
            },
            "/metrics" => self.metrics(),
            _ => self.domain(domain.unwrap_or_default()),
        }
    }
}

/// The domain that is asked about: the rest of the path or, as Caddy asks, the parameter.
fn domain_in(uri: &Uri) -> Option<&str> {
    match uri.path().strip_prefix("/domains")? {
        "" | "/" => Some(uri.query()?.split('&').find_map(|pair| pair.strip_prefix("domain=")).unwrap_or_default()),
        rest => rest.strip_prefix('/'),
    }
}

impl Health {
    /// A proxy that can spool is ready: taking it out of service would lose what it can keep.
    async fn readiness(&self) -> Result<&'static str, &'static str> {
        if *self.phase.borrow() != Phase::Running {
            return Err("shutting down\n");
        }
        let Some(database) = &self.database else {
            return Ok("ok\n");
        };
        if !self.key.is_known() {
            return Err("the key of the short codes is not known yet\n");
        }
        let is_spooling = self.offline.as_ref().is_some_and(|offline| offline.database_is_away());
        let can_spool = self.offline.as_ref().is_some_and(|offline| offline.can_stand_in());
        if is_spooling {
            return if can_spool { Ok(SPOOLING) } else { Err("neither the database nor the spool takes requests\n") };
        }
        match timeout(PROBE_DEADLINE, database.ping()).await {
            Ok(Ok(())) => Ok("ok\n"),
            _ if can_spool => Ok(SPOOLING),
            Ok(Err(_)) => Err("the database refuses\n"),
            Err(_) => Err("the database does not answer within a second\n"),
        }
    }

    fn domain(&self, domain: &str) -> Answer {
        let Some(offline) = &self.offline else {
            return answer::plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "the domains are known where POSTBACK_SPOOL is set\n",
            );
        };
        let table = offline.directory.table();
        if table.is_empty() {
            return answer::plain(StatusCode::SERVICE_UNAVAILABLE, "the domains are not known yet\n");
        }
        if table.has_domain(domain) { answer::plain(StatusCode::OK, "ok\n") } else { answer::not_found() }
    }

    fn metrics(&self) -> Answer {
        let (clicks, postbacks) = match &self.routes.backend {
            Backend::Recording { clicks, foreign_clicks, postbacks, .. } => {
                (clicks.depth() + foreign_clicks.depth(), postbacks.depth())
            }
            Backend::Fixed(_) => (0, 0),
        };
        if let Some(offline) = &self.offline {
            self.metrics.set_spool(&offline.spool.totals);
        }
        let content_type = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
        match self.metrics.render(clicks, postbacks) {
            Ok(text) => answer::with_body(StatusCode::OK, Some(content_type), Bytes::from(text)),
            Err(_) => answer::plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written\n"),
        }
    }
}
