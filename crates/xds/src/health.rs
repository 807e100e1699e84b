//! What agents tell of their workloads' health on the streams of their proxies, unasked (`istio: pilot/pkg/xds/ads.go handleWorkloadHealthcheck`).
//! It is counted, and said once for each stream; nobody acts on it, since no entry of a workload is kept by its connection.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering as Atomic};

use crate::decode::Request;

/// The type of such a report: well, or ill where there is an error in it. It has no answer.
const TYPE: &str = "type.googleapis.com/istio.v1.HealthInformation";

/// Reports since the start.
#[derive(Default)]
pub(crate) struct Reports {
    well: AtomicU64,
    ill: AtomicU64,
}

impl Reports {
    /// How many said that a workload is well, and that it is ill.
    pub(crate) fn counted(&self) -> (u64, u64) {
        (self.well.load(Atomic::Relaxed), self.ill.load(Atomic::Relaxed))
    }
}

/// What one stream told.
pub(crate) struct Health<'a> {
    reports: &'a Reports,
    address: SocketAddr,
    /// It was said that there is something.
    said: bool,
}

impl<'a> Health<'a> {
    pub(crate) fn new(reports: &'a Reports, address: SocketAddr) -> Self {
        Self { reports, address, said: false }
    }

    /// Takes a request if it is a report; says whether it is one.
    pub(crate) fn heard(&mut self, request: &Request<'_>) -> bool {
        if request.type_url != TYPE {
            return false;
        }
        let well = request.error.is_none();
        let counter = if well { &self.reports.well } else { &self.reports.ill };
        counter.fetch_add(1, Atomic::Relaxed);
        if !self.said {
            let address = self.address;
            tracing::warn!(%address, well, "an agent tells of its workload's health: this is counted and has no effect");
            self.said = true;
        }
        true
    }
}
