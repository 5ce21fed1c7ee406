//! A producer without a thread: whoever builds it takes the sender's steps.

use std::sync::Arc;

use super::ProducerBuilder;
use super::start::{Surroundings, assemble, instance, network_client_on, selector};
use crate::client::network_client::NetworkClient;
use crate::clock::Clock;
use crate::error::ConstructError;
use crate::network::poller::Poller;
use crate::network::resolver::{NameLookUps, Resolver};
use crate::network::selectable::Selectable;
use crate::network::selector::Selector;
use crate::producer::kafka_producer::KafkaProducer;
use crate::producer::lifecycle::{Running, SenderThread};
use crate::producer::sender::{Completion, Sender, SteppedSender};
use crate::security::sasl::outside::random_of_seed;

/// A sender on connections of any make, to be stepped.
pub(crate) type HandSender<S> = Sender<NetworkClient<S, Resolver, Completion>>;

/// The whole sender, on the streams of a poller, to be stepped.
pub(crate) type SenderOn<P> = SteppedSender<NetworkClient<Selector<P>, Resolver, Completion>>;

/// A producer that is stepped, its sender, and what says that this runs.
pub(crate) type Stepped<K, V, P> = (KafkaProducer<K, V>, SenderOn<P>, Running);

/// What the outside world gives to a producer that is stepped.
pub(crate) struct SteppedSeams<P> {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) seed: u64,
    pub(crate) names: NameLookUps,
    pub(crate) poller: P,
}

impl<K: ?Sized + ToOwned + 'static, V: ?Sized + ToOwned + 'static> ProducerBuilder<K, V> {
    /// As [`build`](Self::build), but no thread is started: whoever asks takes the sender's steps, and drops
    /// what says that it runs when it has ended.
    pub(crate) fn build_stepped<P: Poller + 'static>(
        self,
        seams: SteppedSeams<P>,
    ) -> Result<Stepped<K, V, P>, ConstructError> {
        let SteppedSeams {
            clock,
            seed,
            names,
            poller,
        } = seams;
        let config = self.config.clone();
        let instance = instance(&config, clock);
        let surroundings = Surroundings {
            seed,
            names,
            random: random_of_seed(seed),
            security: self.security_parts(&instance),
        };
        let plugins = self.resolve_plugins(&instance)?;
        let client =
            Box::new(move |parts: &_| Ok(network_client_on(selector(poller, parts)?, parts)));
        match assemble(&config, &plugins, surroundings, client) {
            Ok((core, sender)) => {
                let (thread, running) = SenderThread::without_thread(
                    instance.log().clone(),
                    Arc::clone(&core.control),
                    Arc::clone(&core.waker),
                );
                let producer = KafkaProducer::assemble(core, plugins, thread);
                Ok((producer, SteppedSender::new(sender, instance), running))
            }
            Err(error) => {
                let _ = plugins.close();
                Err(error)
            }
        }
    }

    /// As [`build`](Self::build), on these connections and this clock. Nothing is sent but in the steps
    /// of the sender that is returned, so calls that wait for it would wait for ever.
    pub(crate) fn build_by_hand<S: Selectable + 'static>(
        self,
        clock: Arc<dyn Clock>,
        seed: u64,
        selector: S,
    ) -> Result<(KafkaProducer<K, V>, HandSender<S>), ConstructError> {
        let config = self.config.clone();
        let instance = instance(&config, clock);
        let security = self.security_parts(&instance);
        let plugins = self.resolve_plugins(&instance)?;
        let client = Box::new(move |parts: &_| Ok(network_client_on(selector, parts)));
        let surroundings = Surroundings {
            seed,
            names: NameLookUps::of_system(),
            random: random_of_seed(seed),
            security,
        };
        let (core, sender) = assemble(&config, &plugins, surroundings, client)?;
        // Closing it waits for no step.
        let (thread, _) = SenderThread::without_thread(
            core.instance.log().clone(),
            Arc::clone(&core.control),
            Arc::clone(&core.waker),
        );
        Ok((KafkaProducer::assemble(core, plugins, thread), sender))
    }
}
