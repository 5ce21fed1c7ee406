//! `KafkaProducer`: the public API. Its methods check a call, then run it as a state machine.

mod close;
mod flush;
mod observe;
mod reload_tls;
mod send;
mod try_send;

use std::fmt;

use super::app_info::register_app_info;
use super::core::{Core, Plugins};
use super::lifecycle::{EndAction, SenderThread};
use super::record::RecordData;
use super::waiting::Latch;
#[cfg(doc)]
use crate::error::Misuse;
use crate::sync::atomic::AtomicBool;

/// A Kafka producer with a blocking API, shared by reference between any number of threads.
///
/// Records are appended to batches, one open batch per partition, which the producer's sender thread sends.
/// [`send`](Self::send) returns as soon as its record is in a batch. The future that it returns resolves to the
/// record's metadata or an error.
///
/// `K` and `V` are the types of keys and values; they may be unsized: a `KafkaProducer<str, [u8]>` sends borrowed
/// strings and bytes without copying them first. They need not be `Clone`, except for interceptors.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use kafka_producer::testing::TestCluster;
/// use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord};
///
/// let cluster = TestCluster::builder().topic("greetings", 3).start()?;
/// let config =
///     ProducerConfig::builder().bootstrap_servers(cluster.bootstrap_servers()).build()?;
/// let producer = KafkaProducer::<str, str>::new(config)?;
/// let future = producer.send(ProducerRecord::keyed("greetings", "en", "hello"))?;
/// let metadata = future.get()?;
/// println!("written to {metadata}");
/// producer.close()?;
/// # Ok(())
/// # }
/// ```
///
/// # Threads
/// `Send` and `Sync`; every method takes `&self`. Callbacks and interceptors run on the producer's
/// thread (on the caller's for records that fail at once) and must be quick: while one runs, nothing is
/// sent.
///
/// # Code of yours
/// Callbacks, wakers, interceptors, serializers, partitioners, metrics reporters and cluster listeners all have the
/// same rules, whichever thread they run on. None of the producer's locks is held. Inside such code, calls that would
/// wait for the producer are refused with [`Misuse::InsideCallback`]: `flush`, `close`, a future's `get` before the
/// result is known, a `send` that waits for memory or for metadata. A `send` that need not wait is accepted. The last
/// handle of the producer may be dropped in such code: the remaining records then fail. A panic is caught and logged; a
/// panic of a serializer or the partitioner fails the call of `send` instead. In a program that is built with
/// `panic=abort` a panic cannot be contained and ends the process.
///
/// Calls that wait for *another* producer are not refused. Two producers whose callbacks wait for each other deadlock,
/// and `delivery.timeout.ms` does not end the deadlock: leave such work to another thread.
///
/// # Fork
/// A process that was forked after the producer was built has no thread that sends: calls that would wait are refused
/// with [`Misuse::Forked`]. Build a producer after the fork. As with any program that has threads, locks that other
/// threads hold at the moment of the fork stay held in the child, so calls on the parent's producer may then block for
/// ever: fork while no other thread is in a call. A callback that forks must not return in the child, but end it
/// (`exec`, `_exit`): otherwise the child would use the parent's connections.
///
/// # Kafka
/// `org.apache.kafka.clients.producer.KafkaProducer`.
pub struct KafkaProducer<K, V>
where
    K: ?Sized + RecordData,
    V: ?Sized + RecordData,
{
    pub(super) core: Core,
    plugins: Plugins<K, V>,
    thread: SenderThread,
    /// Whether a call has begun to close the plug-ins.
    plugins_closing: AtomicBool,
    /// Whether a call of `close` has returned that records were not delivered.
    returned_undelivered: AtomicBool,
    /// Latch: set when the plug-ins are closed.
    plugins_closed: Latch<()>,
    /// Turns the plug-ins into a task that closes them on the sender thread. A function pointer, because only the
    /// builder knows that `K` and `V` are `'static`, as a task for another thread needs.
    closing: fn(&mut Plugins<K, V>) -> EndAction,
}

impl<K: ?Sized + RecordData, V: ?Sized + RecordData> KafkaProducer<K, V> {
    /// Last step of the builder.
    pub(super) fn assemble(core: Core, mut plugins: Plugins<K, V>, thread: SenderThread) -> Self
    where
        K: 'static,
        V: 'static,
    {
        // Registered last: the `app-info` metrics mean that the producer exists. The reporters are initialized already.
        plugins.app_info = Some(register_app_info(&plugins.metrics, &*core.clock));
        Self {
            core,
            plugins,
            thread,
            plugins_closing: AtomicBool::new(false),
            returned_undelivered: AtomicBool::new(false),
            plugins_closed: Latch::new(),
            closing: |plugins| {
                let plugins = plugins.take();
                Box::new(move || {
                    // Errors are logged: no call is left that could return them.
                    let _ = plugins.close();
                    plugins.drop_contained();
                })
            },
        }
    }

    /// Replaces the instance id, and returns the old one.
    #[cfg(test)]
    pub(super) fn replace_id(
        &mut self,
        id: super::instance::InstanceId,
    ) -> super::instance::InstanceId {
        let now = &self.core.instance;
        let other = super::instance::Instance::new(
            id,
            std::sync::Arc::clone(now.clock()),
            now.log().clone(),
        );
        std::mem::replace(&mut self.core.instance, other).id()
    }
}

impl<K: ?Sized + RecordData, V: ?Sized + RecordData> fmt::Debug for KafkaProducer<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaProducer")
            .field("client_id", &self.core.config.client_id())
            .field("snapshot", &self.snapshot())
            .finish_non_exhaustive()
    }
}
