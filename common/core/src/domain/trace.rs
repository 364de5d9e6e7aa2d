//! What ties the logs and spans of one request together, from the till's call to the mail (design.md §5).

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use super::ids::{IdError, RequestId};

/// The request that a command came with. It travels in the message and in the alerts that the command raises.
///
/// It explains a command and decides nothing: it is no part of the fingerprint, and a text that can't be read is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// What the logs of the request are found by.
    pub request_id: RequestId,
    /// The request's span, where spans are exported: the parent of the spans that the worker and the alerter make.
    pub span_id: Option<NonZeroU64>,
}

impl Trace {
    /// The trace id of W3C Trace Context: the request id itself where it is one or a UUID, else a UUIDv5 of it.
    pub fn trace_id(&self) -> u128 {
        let text = self.request_id.as_str();
        let own = Uuid::try_parse(text).ok().filter(|id| !id.is_nil());
        own.unwrap_or_else(|| Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes())).as_u128()
    }
}

impl From<RequestId> for Trace {
    fn from(request_id: RequestId) -> Self {
        Self { request_id, span_id: None }
    }
}

/// `request id`, or `request id/span id` with the span id as 16 hexadecimal digits.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.span_id {
            None => write!(f, "{}", self.request_id),
            Some(span_id) => write!(f, "{}/{span_id:016x}", self.request_id),
        }
    }
}

impl FromStr for Trace {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (request_id, span_id) = text.split_once('/').unwrap_or((text, ""));
        let span_id = u64::from_str_radix(span_id, 16).ok().and_then(NonZeroU64::new);
        Ok(Self { request_id: request_id.parse()?, span_id })
    }
}

impl Serialize for Trace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads a [`Trace`] as part of something that matters: whatever can't be read is `None`, and never an error.
pub(super) fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Trace>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_str().and_then(|text| text.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(text: &str) -> Trace {
        text.parse().unwrap()
    }

    #[test]
    fn a_trace_is_read_as_it_was_written() {
        for text in ["till-7.1234", "4bf92f3577b34da6a3ce929d0e0e4736/00f067aa0ba902b7"] {
            assert_eq!(trace(text).to_string(), text);
        }
        assert!("".parse::<Trace>().is_err() && "a b".parse::<Trace>().is_err());
        assert_eq!(trace("a/0000000000000000").span_id, None);
        assert_eq!(trace("a/nonsense").span_id, None);
    }

    #[test]
    fn a_request_id_that_is_a_trace_id_or_a_uuid_is_the_trace_id() {
        let id = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
        assert_eq!(trace("4bf92f3577b34da6a3ce929d0e0e4736").trace_id(), id);
        assert_eq!(trace("4bf92f35-77b3-4da6-a3ce-929d0e0e4736").trace_id(), id);
        assert_ne!(trace("till-7").trace_id(), 0);
        assert_eq!(trace("till-7").trace_id(), trace("till-7/00f067aa0ba902b7").trace_id());
        assert_ne!(trace("00000000000000000000000000000000").trace_id(), 0);
    }
}
