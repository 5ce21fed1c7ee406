//! A serializer that writes Confluent's wire format: a zero byte, the schema id in four bytes, the encoded value.

// The page on schema registries in `docs/guide` quotes the code from here on, up to the end of the file.
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use kafka_producer::{BoxError, Headers, Serialized, Serializer};

/// Serializes values with the schema id of their topic. `look_up` gets a subject and returns its schema id, `encode`
/// returns the bytes of a value.
pub struct RegistrySerializer<L, E> {
    look_up: L,
    encode: E,
    failures_cached_for: Duration,
    ids: RwLock<HashMap<String, CachedId>>,
}

/// A topic's schema id, or the failure of the last look-up and the time of the next one; `None`: never.
#[derive(Clone)]
enum CachedId {
    Known(u32),
    Failed(SchemaIdError, Option<Instant>),
}

impl<L, E> RegistrySerializer<L, E>
where
    L: Fn(&str) -> Result<u32, BoxError>,
{
    pub fn new(look_up: L, encode: E) -> Self {
        Self {
            look_up,
            encode,
            failures_cached_for: Duration::from_secs(5),
            ids: RwLock::default(),
        }
    }

    /// After a failure, records of that topic fail for this time without another look-up, so that not each of them
    /// waits for a registry that is down. The default is 5 seconds.
    pub fn failures_cached_for(mut self, time: Duration) -> Self {
        self.failures_cached_for = time;
        self
    }

    /// The schema id of a topic's values. No lock is held during the look-up: threads that send the first records of a
    /// topic at the same time each call the registry once, and none waits for another.
    pub fn id(&self, topic: &str) -> Result<u32, SchemaIdError> {
        match self.cached(topic) {
            Some(CachedId::Known(id)) => return Ok(id),
            Some(CachedId::Failed(error, until))
                if until.is_none_or(|until| Instant::now() < until) =>
            {
                return Err(error);
            }
            _ => {}
        }
        let subject = format!("{topic}-value");
        let result = (self.look_up)(&subject).map_err(|cause| SchemaIdError {
            subject,
            cause: cause.into(),
        });
        let cached = match &result {
            Ok(id) => CachedId::Known(*id),
            Err(error) => {
                let until = Instant::now().checked_add(self.failures_cached_for);
                CachedId::Failed(error.clone(), until)
            }
        };
        let mut ids = self.ids.write().unwrap_or_else(PoisonError::into_inner);
        // A look-up that failed does not replace the id that another thread got meanwhile.
        if result.is_ok() || !matches!(ids.get(topic), Some(CachedId::Known(_))) {
            ids.insert(topic.to_owned(), cached);
        }
        result
    }

    fn cached(&self, topic: &str) -> Option<CachedId> {
        let ids = self.ids.read().unwrap_or_else(PoisonError::into_inner);
        ids.get(topic).cloned()
    }
}

impl<T, L, E> Serializer<T> for RegistrySerializer<L, E>
where
    T: ?Sized,
    L: Fn(&str) -> Result<u32, BoxError> + Send + Sync,
    E: Fn(&T) -> Result<Vec<u8>, BoxError> + Send + Sync,
{
    fn serialize<'a>(
        &self,
        topic: &str,
        _headers: &mut Headers,
        data: &'a T,
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        let mut bytes = vec![0];
        bytes.extend(self.id(topic)?.to_be_bytes());
        bytes.extend((self.encode)(data)?);
        Ok(Some(bytes.into()))
    }
}

/// No schema id: the error of `look_up` is the cause.
#[derive(Debug, Clone)]
pub struct SchemaIdError {
    subject: String,
    cause: Arc<dyn Error + Send + Sync>,
}

impl fmt::Display for SchemaIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no schema id for subject {}: {}",
            self.subject, self.cause
        )
    }
}

impl Error for SchemaIdError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.cause)
    }
}
