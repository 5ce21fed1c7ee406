//! A producer without a thread: whoever builds it takes the sender's steps.

use std::sync::Arc;

use super::ProducerBuilder;
use super::start::{assemble, instance, network_client_on};
use crate::client::network_client::NetworkClient;
use crate::clock::Clock;
use crate::error::ConstructError;
use crate::network::resolver::{NameLookUps, Resolver};
use crate::network::selectable::Selectable;
use crate::producer::kafka_producer::KafkaProducer;
use crate::producer::lifecycle::SenderThread;
use crate::producer::sender::{Completion, Sender};

/// A sender on connections of any make, to be stepped.
pub(crate) type HandSender<S> = Sender<NetworkClient<S, Resolver, Completion>>;

impl<K: ?Sized + ToOwned + 'static, V: ?Sized + ToOwned + 'static> ProducerBuilder<K, V> {
    /// As [`build`](Self::build), on these connections and this clock. Nothing is sent but in the steps
    /// of the sender that is returned, so calls that wait for it would wait for ever.
    pub(crate) fn build_by_hand<S: Selectable + 'static>(
        self,
        clock: Arc<dyn Clock>,
        seed: u64,
        selector: S,
    ) -> Result<(KafkaProducer<K, V>, HandSender<S>), ConstructError> {
        let config = self.config.clone();
        let plugins = self.resolve_plugins(&instance(&config, clock))?;
        let client = Box::new(move |parts: &_| Ok(network_client_on(selector, parts)));
        let names = NameLookUps::of_system();
        let (core, sender) = assemble(&config, &plugins, seed, names, client)?;
        // Closing it waits for no step.
        let (thread, _) = SenderThread::by_hand(Arc::clone(&core.control), Arc::clone(&core.waker));
        Ok((KafkaProducer::assemble(core, plugins, thread), sender))
    }
}
