//! Producers without a sender thread, for tests and simulations: the caller steps the sender.

use std::sync::Arc;

use super::ProducerBuilder;
use super::start::{MakeClient, Surroundings, assemble, instance};
#[cfg(feature = "_internals")]
use super::start::{network_client_on, selector};
use crate::client::kafka_client::KafkaClient;
#[cfg(feature = "_internals")]
use crate::client::network_client::NetworkClient;
use crate::clock::Clock;
use crate::error::{ConfigError, ConstructError};
#[cfg(feature = "_internals")]
use crate::network::poller::Poller;
use crate::network::resolver::NameLookUps;
#[cfg(feature = "_internals")]
use crate::network::resolver::Resolver;
#[cfg(feature = "_internals")]
use crate::network::selectable::Selectable;
#[cfg(feature = "_internals")]
use crate::network::selector::Selector;
use crate::producer::call_errors::CallErrors;
use crate::producer::kafka_producer::KafkaProducer;
use crate::producer::lifecycle::{Running, SenderThread};
use crate::producer::record::RecordData;
#[cfg(feature = "_internals")]
use crate::producer::sender::Sender;
use crate::producer::sender::{Completion, SenderControl, SteppedSender};
use crate::producer::transaction::Transactions;
use crate::security::sasl::dependencies::random_of_seed;

/// Injected dependencies of a producer whose sender is stepped by the caller.
pub(crate) struct HandSeams<C> {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) seed: u64,
    pub(crate) names: NameLookUps,
    pub(crate) make_client: MakeClient<C>,
    pub(crate) call_errors: Option<Arc<CallErrors>>,
}

/// A producer with a sender that the caller steps, and their shared state.
pub(crate) struct SteppedProducer<K: ?Sized + RecordData, V: ?Sized + RecordData, C> {
    pub(crate) producer: KafkaProducer<K, V>,
    pub(crate) sender: SteppedSender<C>,
    /// To be dropped when the sender has ended.
    pub(crate) running: Running,
    pub(crate) control: Arc<SenderControl>,
    pub(crate) transactions: Option<Arc<Transactions>>,
}

/// A sender on any selector, stepped by the caller.
#[cfg(feature = "_internals")]
pub(crate) type HandSender<S> = Sender<NetworkClient<S, Resolver, Completion>>;

/// A sender with the real selector on any poller, stepped by the caller.
#[cfg(feature = "_internals")]
pub(crate) type SenderOn<P> = SteppedSender<NetworkClient<Selector<P>, Resolver, Completion>>;

/// A producer, its stepped sender, and the guard that marks the sender as running.
#[cfg(feature = "_internals")]
pub(crate) type ProducerParts<K, V, P> = (KafkaProducer<K, V>, SenderOn<P>, Running);

/// Injected dependencies of a producer on a given poller.
#[cfg(feature = "_internals")]
pub(crate) struct SteppedSeams<P> {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) seed: u64,
    pub(crate) names: NameLookUps,
    pub(crate) poller: P,
}

impl<K: ?Sized + RecordData + 'static, V: ?Sized + RecordData + 'static> ProducerBuilder<K, V> {
    /// Sets these configuration keys, in place of the values that the user gave.
    pub(crate) fn with_settings<'a>(
        mut self,
        settings: impl IntoIterator<Item = (&'a str, String)>,
    ) -> Result<Self, ConfigError> {
        let settings = settings.into_iter();
        let settings = settings.map(|(key, value)| (key.to_owned(), value));
        self.config = self.config.changed(|given| given.extend(settings))?;
        Ok(self)
    }

    /// As [`build`](Self::build), but starts no thread: the caller steps the sender.
    pub(crate) fn build_moved_by_hand<C>(
        self,
        seams: HandSeams<C>,
    ) -> Result<SteppedProducer<K, V, C>, ConstructError>
    where
        C: KafkaClient<Completion> + 'static,
    {
        let HandSeams {
            clock,
            seed,
            names,
            make_client,
            call_errors,
        } = seams;
        let config = self.config.clone();
        let instance = instance(&config, clock);
        let surroundings = Surroundings {
            seed,
            names,
            random: random_of_seed(seed),
        };
        let (plugins, parts) = self.prepare(&instance, surroundings)?;
        match assemble(&config, &plugins, parts, make_client) {
            Ok((mut core, sender)) => {
                // Set only here: a producer with a thread of its own never has injected errors.
                core.call_errors = call_errors;
                let (control, transactions) =
                    (Arc::clone(&core.control), core.transactions.clone());
                let (thread, running) = SenderThread::without_thread(
                    instance.log().clone(),
                    Arc::clone(&control),
                    Arc::clone(&core.waker),
                );
                Ok(SteppedProducer {
                    producer: KafkaProducer::assemble(core, plugins, thread),
                    sender: SteppedSender::new(sender, instance),
                    running,
                    control,
                    transactions,
                })
            }
            Err(error) => {
                let _ = plugins.close();
                Err(error)
            }
        }
    }

    /// As `build_moved_by_hand`, on a given poller. The caller steps the sender, and drops the returned guard when the
    /// sender has ended.
    #[cfg(feature = "_internals")]
    pub(crate) fn build_stepped<P: Poller + 'static>(
        self,
        seams: SteppedSeams<P>,
    ) -> Result<ProducerParts<K, V, P>, ConstructError> {
        let SteppedSeams {
            clock,
            seed,
            names,
            poller,
        } = seams;
        let built = self.build_moved_by_hand(HandSeams {
            clock,
            seed,
            names,
            make_client: Box::new(move |parts: &_| {
                Ok(network_client_on(selector(poller, parts)?, parts))
            }),
            call_errors: None,
        })?;
        Ok((built.producer, built.sender, built.running))
    }

    /// As [`build`](Self::build), with this selector and this clock, and without a thread. Only the steps of the
    /// returned sender send anything: a blocking call on the thread that steps the sender would never return.
    #[cfg(feature = "_internals")]
    pub(crate) fn build_by_hand<S: Selectable + 'static>(
        self,
        clock: Arc<dyn Clock>,
        seed: u64,
        selector: S,
    ) -> Result<(KafkaProducer<K, V>, HandSender<S>), ConstructError> {
        let config = self.config.clone();
        let instance = instance(&config, clock);
        let surroundings = Surroundings {
            seed,
            names: NameLookUps::of_system(),
            random: random_of_seed(seed),
        };
        let (plugins, parts) = self.prepare(&instance, surroundings)?;
        let client = Box::new(move |parts: &_| Ok(network_client_on(selector, parts)));
        let (core, sender) = assemble(&config, &plugins, parts, client)?;
        // The guard is dropped at once, so closing the producer does not wait for the sender.
        let (thread, _) = SenderThread::without_thread(
            core.instance.log().clone(),
            Arc::clone(&core.control),
            Arc::clone(&core.waker),
        );
        Ok((KafkaProducer::assemble(core, plugins, thread), sender))
    }
}
