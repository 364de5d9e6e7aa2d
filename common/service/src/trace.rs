//! Spans that follow a command from the till's request to the mail, and their export as OTLP.
//!
//! A request's span is in the logs from level `info` on. The spans of rounds, commands and alerts are of level `debug`, so
//! that a sale costs nothing beyond its request's span unless someone looks.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, trace::TracerProvider as _};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use stockline_core::domain::{Alert, CommandId, ItemId, RequestId, Trace};
use tracing::field::Empty;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

/// The target of every span here; `STOCKLINE_LOG=stockline::trace=debug,info` shows them in the logs.
pub const TARGET: &str = "stockline::trace";

/// How long one call of the collector may take, and the last export at shutdown.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether spans are exported; read where a span's place in its trace would have to be looked up.
static EXPORTING: AtomicBool = AtomicBool::new(false);

/// Where spans are exported to.
#[derive(Debug, Clone, Copy)]
pub struct SpanExport<'a> {
    /// The collector's address for OTLP over HTTP, such as `http://127.0.0.1:4318`.
    pub endpoint: &'a str,
    /// Names this program in the traces.
    pub service: &'static str,
}

/// Exports what is left when it is dropped, within 5 s. It must not be dropped inside the runtime of a single thread.
#[derive(Debug)]
#[must_use = "spans are exported only while it lives"]
pub struct SpanExporting(SdkTracerProvider);

impl SpanExporting {
    /// Exports what there is, within 5 s: for a process that may be frozen now.
    pub fn flush(&self) {
        if let Err(error) = self.0.force_flush() {
            tracing::warn!(%error, "spans could not be exported");
        }
    }
}

impl Drop for SpanExporting {
    fn drop(&mut self) {
        EXPORTING.store(false, Ordering::Relaxed);
        if let Err(error) = self.0.shutdown_with_timeout(EXPORT_TIMEOUT) {
            tracing::warn!(%error, "the last spans could not be exported");
        }
    }
}

/// Begins to export; the layer belongs into the subscriber.
pub(crate) fn export<S>(
    export: SpanExport<'_>,
) -> Result<(impl Layer<S> + Send + Sync + 'static, SpanExporting), String>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup> + Send + Sync,
{
    let base = export.endpoint.trim_end_matches('/');
    let address = if base.ends_with("/v1/traces") { base.to_owned() } else { format!("{base}/v1/traces") };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(address)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(|error| format!("spans can't be exported to {}: {error}", export.endpoint))?;
    let resource = Resource::builder().with_service_name(export.service).build();
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("stockline"));
    let ours = Targets::new().with_target(TARGET, LevelFilter::DEBUG).with_target("stockline", LevelFilter::INFO);
    EXPORTING.store(true, Ordering::Relaxed);
    Ok((layer.with_filter(ours), SpanExporting(provider)))
}

/// The request that a client names: by `X-Request-Id`, else by the trace of `traceparent`
/// ([W3C Trace Context](https://www.w3.org/TR/trace-context/)), else by an id made here.
///
/// What can't be read is as if it were absent.
pub fn incoming(x_request_id: Option<&str>, traceparent: Option<&str>) -> Trace {
    let parent = traceparent.and_then(read_traceparent);
    let named = x_request_id.and_then(|text| text.trim().parse::<RequestId>().ok()).map(Trace::from);
    let mut trace = match (named, &parent) {
        (Some(named), _) => named,
        (None, Some(parent)) => parent.clone(),
        (None, None) => RequestId::from_number(fastrand::u64(..)).into(),
    };
    trace.span_id = parent.filter(|parent| parent.trace_id() == trace.trace_id()).and_then(|parent| parent.span_id);
    trace
}

fn read_traceparent(text: &str) -> Option<Trace> {
    let mut parts = text.trim().split('-');
    let (_version, trace_id, span_id) = (parts.next()?, parts.next()?, parts.next()?);
    let lower_hex = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if trace_id.len() != 32 || span_id.len() != 16 || !lower_hex(trace_id) || trace_id.bytes().all(|b| b == b'0') {
        return None;
    }
    let span_id = NonZeroU64::new(u64::from_str_radix(span_id, 16).ok()?)?;
    Some(Trace { request_id: trace_id.parse().ok()?, span_id: Some(span_id) })
}

/// The span of one HTTP request, and the trace that its commands carry on. `status` is recorded when it is answered.
pub fn request(incoming: &Trace, method: &str, route: &str) -> (Span, Trace) {
    let request_id = &incoming.request_id;
    let span = tracing::info_span!(target: TARGET, parent: None, "request", %request_id, method, route, status = Empty);
    let mut own = Trace::from(request_id.clone());
    if EXPORTING.load(Ordering::Relaxed) {
        follow(&span, incoming);
        let span_id = span.context().span().span_context().span_id();
        own.span_id = NonZeroU64::new(u64::from_be_bytes(span_id.to_bytes()));
    }
    (span, own)
}

/// The span of one receive and everything that becomes of its messages.
pub fn round(messages: usize) -> Span {
    tracing::debug_span!(target: TARGET, parent: None, "round", messages)
}

/// The span of one item's commands in a round; the current span, the round's, is its parent.
pub fn item(item_id: &ItemId) -> Span {
    tracing::debug_span!(target: TARGET, "item", %item_id)
}

/// The span of one command in the worker, from its receipt from the queue until it is settled: in the trace of its
/// request. `settled` says what became of it.
pub fn command(trace: &Trace, item_id: &ItemId, command_id: CommandId) -> Span {
    let request_id = &trace.request_id;
    let span = tracing::debug_span!(target: TARGET, parent: None, "command", %request_id, %item_id, %command_id, settled = Empty);
    if EXPORTING.load(Ordering::Relaxed) {
        follow(&span, trace);
    }
    span
}

/// The span of one alert in the alerter, in the trace of the request whose command raised it. `None` where nobody looks,
/// or no request is named.
pub fn alert(alert: &Alert) -> Option<Span> {
    let trace = alert.trace.as_ref().filter(|_| follows_commands())?;
    let (request_id, alert_id) = (&trace.request_id, alert.id());
    let span = tracing::debug_span!(target: TARGET, parent: None, "alert", %request_id, alert_id);
    if EXPORTING.load(Ordering::Relaxed) {
        follow(&span, trace);
    }
    Some(span)
}

/// Whether spans of single commands are looked at by anybody.
pub fn follows_commands() -> bool {
    tracing::enabled!(target: TARGET, tracing::Level::DEBUG)
}

/// Puts a span into the trace of a request, below the span that it names.
fn follow(span: &Span, trace: &Trace) {
    let trace_id = TraceId::from_bytes(trace.trace_id().to_be_bytes());
    // A parent must have an id: where the request named none, the trace has a root that nobody exports.
    let span_id = trace.span_id.map_or(trace.trace_id() as u64 | 1, NonZeroU64::get);
    let parent = SpanContext::new(
        trace_id,
        SpanId::from_bytes(span_id.to_be_bytes()),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    if let Err(error) = span.set_parent(Context::new().with_remote_span_context(parent)) {
        tracing::debug!(%error, "a span is not in its request's trace");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use tracing_subscriber::layer::SubscriberExt as _;

    use crate::testing::Collector;

    #[test]
    fn the_spans_of_a_request_and_of_its_command_are_exported_in_one_trace() {
        let collector = Collector::start();
        let (layer, exporting) = export(SpanExport { endpoint: &collector.url, service: "stockline-test" }).unwrap();
        let carried = tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let (request, own) = request(&incoming(None, Some(PARENT)), "POST", "/v1/commands");
            // The message carries it as text.
            let carried: Trace = own.to_string().parse().unwrap();
            drop(request);
            drop(command(&carried, &"cola".parse().unwrap(), CommandId(uuid::Uuid::from_u128(7))));
            let raised = serde_json::json!({
                "item_id": "cola", "location_id": "main", "alert_no": 1, "kind": "low", "on_hand": "1", "seq": 2,
                "raised_at": "2026-01-01T00:00:00Z", "command_id": uuid::Uuid::from_u128(7), "item_name": "Cola",
                "unit": "piece", "trace": carried.to_string(),
            });
            drop(alert(&serde_json::from_value(raised).unwrap()).unwrap());
            carried
        });
        drop(exporting);
        let count = |part: &[u8]| collector.count(part);
        assert!(collector.exported().starts_with(b"POST /v1/traces HTTP/1.1\r\n"));
        assert_eq!(collector.spans_of(carried.trace_id()), 3, "three spans of one trace");
        let own = carried.span_id.unwrap().get();
        assert_eq!(count(&own.to_be_bytes()), 3, "the request's span, and the parent of the two others");
        assert_eq!(count(&0x00f0_67aa_0ba9_02b7_u64.to_be_bytes()), 1, "the client's span is the request's parent");
        assert!(count(b"stockline-test") > 0 && count(b"cola:main:1") > 0);
    }

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read(x_request_id: Option<&str>, traceparent: Option<&str>) -> String {
        incoming(x_request_id, traceparent).to_string()
    }

    #[test]
    fn a_request_is_named_by_its_client_or_here() {
        assert_eq!(read(Some("till-7"), None), "till-7");
        assert_eq!(read(None, Some(PARENT)), "4bf92f3577b34da6a3ce929d0e0e4736/00f067aa0ba902b7");
        assert_eq!(read(Some("till-7"), Some(PARENT)), "till-7");
        let uuid = "4bf92f35-77b3-4da6-a3ce-929d0e0e4736";
        assert_eq!(read(Some(uuid), Some(PARENT)), format!("{uuid}/00f067aa0ba902b7"), "one trace by both names");
        assert_ne!(read(None, None), read(None, None));
    }

    #[test]
    fn a_name_that_can_t_be_read_is_as_if_it_were_absent() {
        let is_made = |text: String| text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        for name in ["", "two words", "x\u{7f}", &"x".repeat(65)] {
            assert!(is_made(read(Some(name), None)), "{name:?}");
        }
        let zero = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
        let capitals = "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01";
        for parent in ["", "00", "00-1-2-01", capitals, "ä-b-c-d", &zero] {
            assert!(is_made(read(None, Some(parent))), "{parent:?}");
        }
    }
}
