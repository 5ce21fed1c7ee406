//! Dry construction of a producer, for the tool `kafka-check`. Not part of the public API.

use std::sync::Arc;

use super::start::{Surroundings, cluster_listeners, instance};
use super::{ProducerBuilder, without_resolved_values};
use crate::clock::{Clock, SystemClock};
use crate::error::ConstructError;
use crate::network::resolver::NameLookUps;
use crate::producer::record::RecordData;
use crate::security::sasl::dependencies::random_of_system;

impl<K: ?Sized + RecordData + 'static, V: ?Sized + RecordData + 'static> ProducerBuilder<K, V> {
    /// Runs the steps of [`build`](Self::build) that need neither the network nor a thread, and closes the plug-ins
    /// again. Host names are not resolved, and no socket is opened.
    ///
    /// # Errors
    /// As `build`.
    ///
    /// # Blocking
    /// Reads the files that the configuration names.
    #[doc(hidden)]
    pub fn check(self) -> Result<(), ConstructError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let instance = instance(&self.config, clock);
        let surroundings = Surroundings {
            // Nothing is drawn: no connection is opened, and no record is sent.
            seed: 0,
            names: NameLookUps::of_system(),
            random: random_of_system(),
        };
        let config = self.config.clone();
        let (plugins, _) = self.prepare(&instance, surroundings)?;
        let checked = cluster_listeners(&plugins).map(drop);
        let checked = checked.map_err(|error| without_resolved_values(error, &config));
        // Errors of closing are only logged: the caller asks whether the producer can be built.
        let _ = plugins.close();
        checked
    }
}
