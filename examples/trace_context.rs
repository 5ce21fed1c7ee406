//! Propagates the trace context in record headers, in the format of [W3C](https://www.w3.org/TR/trace-context/), so
//! that consumers can continue the trace.
//!
//! ```text
//! cargo run --example trace_context --features testing
//! ```
//!
//! The current span is in a thread-local, which works because `on_send` runs on the thread that calls `send`. An
//! application that uses a tracing library reads the library's current span instead of `CURRENT`.
#![allow(clippy::print_stdout, reason = "the output of the example")]

use std::cell::RefCell;
use std::error::Error;
use std::fmt;

use kafka_producer::testing::TestCluster;
use kafka_producer::{
    BoxError, KafkaProducer, ProducerConfig, ProducerInterceptor, ProducerRecord, RecordData,
};

/// A span of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SpanContext {
    /// Never 0.
    trace_id: u128,
    /// Never 0.
    span_id: u64,
    is_sampled: bool,
    /// Vendor-specific entries, `vendor=value,…`. Usually empty.
    state: String,
}

/// The header `traceparent`: version, trace, span, flags, in lower-case hexadecimal digits.
impl fmt::Display for SpanContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.is_sampled);
        write!(
            f,
            "00-{:032x}-{:016x}-{flags:02x}",
            self.trace_id, self.span_id
        )
    }
}

impl SpanContext {
    fn root() -> Self {
        Self {
            trace_id: fastrand::u128(1..),
            span_id: fastrand::u64(1..),
            is_sampled: true,
            state: String::new(),
        }
    }

    /// A child span, in the same trace.
    fn child(&self) -> Self {
        Self {
            span_id: fastrand::u64(1..),
            ..self.clone()
        }
    }

    /// Parses the headers; `None` if they are invalid, which ends the trace.
    fn parse(traceparent: &str, state: &str) -> Option<Self> {
        let parts: Vec<&str> = traceparent.split('-').collect();
        let [version, trace_id, span_id, flags] = parts[..] else {
            return None;
        };
        let is_hex = |text: &str, length: usize| {
            let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            text.len() == length && text.bytes().all(digit)
        };
        if version != "00" || !is_hex(trace_id, 32) || !is_hex(span_id, 16) || !is_hex(flags, 2) {
            return None;
        }
        let context = Self {
            trace_id: u128::from_str_radix(trace_id, 16).ok()?,
            span_id: u64::from_str_radix(span_id, 16).ok()?,
            is_sampled: u8::from_str_radix(flags, 16).ok()? & 1 == 1,
            state: state.to_owned(),
        };
        (context.trace_id != 0 && context.span_id != 0).then_some(context)
    }
}

thread_local! {
    /// The current span of this thread, if it is part of a trace.
    static CURRENT: RefCell<Option<SpanContext>> = const { RefCell::new(None) };
}

/// Runs `work` with `context` as the current span of this thread.
fn within<T>(context: &SpanContext, work: impl FnOnce() -> T) -> T {
    let outer = CURRENT.replace(Some(context.clone()));
    let result = work();
    CURRENT.set(outer);
    result
}

/// Each record gets a span of its own, a child of the current one.
struct TraceContext;

impl<K: ?Sized + RecordData, V: ?Sized + RecordData> ProducerInterceptor<K, V> for TraceContext {
    fn on_send(&self, record: &mut ProducerRecord<'_, K, V>) -> Result<(), BoxError> {
        // A forwarded record may have a context already, set by the application.
        if record.headers().last("traceparent").is_some() {
            return Ok(());
        }
        let Some(context) = CURRENT.with_borrow(|current| current.as_ref().map(SpanContext::child))
        else {
            return Ok(());
        };
        let headers = record.headers_mut();
        headers.add("traceparent", context.to_string())?;
        if !context.state.is_empty() {
            headers.add("tracestate", context.state)?;
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let cluster = TestCluster::builder().topic("orders", 1).start()?;
    let config = ProducerConfig::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .build()?;
    let producer = KafkaProducer::<str, str>::builder(config)
        .stock_serializers()
        .interceptor(TraceContext)
        .build()?;

    let mut request = SpanContext::root();
    "shop=a:1".clone_into(&mut request.state);
    within(&request, || {
        producer.send(ProducerRecord::new("orders", "in a trace"))
    })?
    .get()?;
    producer
        .send(ProducerRecord::new("orders", "without a trace"))?
        .get()?;
    let mut forwarded = ProducerRecord::new("orders", "forwarded");
    let incoming = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    forwarded.headers_mut().add("traceparent", incoming)?;
    within(&request, || producer.send(forwarded))?.get()?;
    producer.close()?;

    let headers = |at: usize, key: &str| {
        let records = cluster.records("orders", 0);
        let header = records[at].headers.last(key)?.value()?.to_vec();
        String::from_utf8(header).ok()
    };
    let parent = headers(0, "traceparent").ok_or("no traceparent")?;
    let state = headers(0, "tracestate").ok_or("no tracestate")?;
    println!("traceparent: {parent}\ntracestate: {state}");
    let arrived = SpanContext::parse(&parent, &state).ok_or("invalid trace context")?;
    assert_eq!(arrived.trace_id, request.trace_id);
    assert_ne!(arrived.span_id, request.span_id);
    assert!(arrived.is_sampled && arrived.state == request.state);
    assert_eq!(headers(1, "traceparent"), None);
    assert_eq!(headers(2, "traceparent").as_deref(), Some(incoming));
    assert_eq!(headers(2, "tracestate"), None);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_recommendation_is_formatted_and_parsed() {
        let context = SpanContext {
            trace_id: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736,
            span_id: 0x00f0_67aa_0ba9_02b7,
            is_sampled: true,
            state: String::new(),
        };
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(context.to_string(), text);
        assert_eq!(SpanContext::parse(text, ""), Some(context));
    }

    #[test]
    fn ids_keep_their_leading_zeros() {
        let context = SpanContext {
            trace_id: 1,
            span_id: 2,
            is_sampled: false,
            state: String::new(),
        };
        assert_eq!(
            context.to_string(),
            "00-00000000000000000000000000000001-0000000000000002-00"
        );
    }

    #[test]
    fn random_contexts_are_valid_and_a_child_differs_in_its_span_id_only() {
        for _ in 0..1000 {
            let parent = SpanContext::root();
            let child = parent.child();
            assert_eq!(
                SpanContext::parse(&child.to_string(), ""),
                Some(child.clone())
            );
            assert_eq!(parent.trace_id, child.trace_id);
            assert_ne!(parent.span_id, child.span_id);
        }
    }

    #[test]
    fn an_invalid_header_is_rejected() {
        for text in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(SpanContext::parse(text, ""), None, "{text}");
        }
    }
}
