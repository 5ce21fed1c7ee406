//! One broker, and operations on it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use super::cluster::{BrokerState, Cluster, broker_name, lock};
use super::install::Jars;
use super::process::{Jvm, describe_exit, log_tail};
use super::startup::{START_TIMEOUT, lost_its_port};
use super::{Context, Failure, Result};

const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// The version and configuration of a broker after an upgrade.
#[derive(Clone, Debug)]
pub(crate) struct Upgrade {
    pub(super) jars: Jars,
    /// Lines of `server.properties` that replace those of the cluster's options.
    pub(super) configs: Vec<(String, String)>,
}

impl Upgrade {
    /// Downloads the jars, which takes a while the first time.
    pub(crate) fn to(version: &str, configs: &[(&str, &str)]) -> Result<Self> {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Ok(Self {
            jars: Jars::of(version)?,
            configs: configs.iter().map(own).collect(),
        })
    }
}

/// One broker of a cluster.
#[derive(Clone, Copy)]
pub(crate) struct Broker<'c> {
    pub(super) cluster: &'c Cluster,
    pub(super) index: usize,
}

impl Broker<'_> {
    /// Its index, which is also its broker id.
    pub(crate) fn id(&self) -> usize {
        self.index
    }

    /// The address of its `PLAINTEXT` listener, also while the broker is down.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address_of("PLAINTEXT")
            .expect("every broker listens for PLAINTEXT")
    }

    /// The address of the listener with this name; `None` if there is none.
    pub(crate) fn address_of(&self, listener: &str) -> Option<SocketAddr> {
        let ports = &self.cluster.ports[self.index];
        let (_, port) = ports.iter().find(|(name, _)| name == listener)?;
        Some((Ipv4Addr::LOCALHOST, *port).into())
    }

    /// Its process id; `None` if the broker was killed or stopped.
    pub(crate) fn process_id(&self) -> Option<u32> {
        self.state().jvm.as_ref().map(Jvm::id)
    }

    /// Sends SIGKILL. The cluster notices after a few seconds.
    pub(crate) fn kill(&self) -> Result<()> {
        let mut jvm = self.take()?;
        jvm.kill()
    }

    /// Starts it again on the same port with the same data, and waits until it serves clients. After a kill, the start
    /// lasts until the session of the killed process has expired.
    pub(crate) fn start(&self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let mut state = self.state();
            if state.jvm.is_some() {
                return Err(Failure::new(format!("broker {} is running", self.index)));
            }
            state.jvm = Some(self.cluster.run_broker(self.index, &state)?);
            let Err(failure) = self
                .cluster
                .await_broker(self.index, &mut state, &[self.index])
            else {
                return Ok(());
            };
            // Clients that try to connect can occupy the port for a moment.
            let again = state.jvm.take().is_some_and(|jvm| lost_its_port(&jvm));
            if !again || Instant::now() > deadline {
                return Err(failure.during(format!("broker {} did not start", self.index)));
            }
        }
    }

    /// Stops it, and starts it with the code and the configuration of an upgrade, on the same port with the same data.
    pub(crate) fn upgrade(&self, upgrade: &Upgrade) -> Result<()> {
        self.stop_clean()?;
        self.state().upgrade = Some(upgrade.clone());
        self.start()
    }

    /// Controlled shutdown: the broker hands its partitions to other leaders and closes its logs. Waits until the
    /// process has ended.
    pub(crate) fn stop_clean(&self) -> Result<()> {
        let mut jvm = self.take()?;
        jvm.write(b"stop\n")?;
        let status = jvm.wait(STOP_TIMEOUT)?;
        if status.success() {
            return Ok(());
        }
        let how = describe_exit(status);
        let failure = Failure::new(format!("broker {} ended with {how}", self.index));
        Err(failure.with_details(&jvm.tail()))
    }

    /// Sends SIGSTOP: the broker keeps its connections and does not respond.
    pub(crate) fn pause(&self) -> Result<()> {
        self.signal("STOP")?;
        self.state().is_paused = true;
        Ok(())
    }

    /// Sends SIGCONT.
    pub(crate) fn resume(&self) -> Result<()> {
        self.signal("CONT")?;
        self.state().is_paused = false;
        Ok(())
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.state().is_paused
    }

    /// The last lines of its log.
    pub(crate) fn log_tail(&self) -> String {
        let name = broker_name(self.index);
        log_tail(&name, &self.cluster.folder.join(format!("{name}.log")))
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> Result<String> {
        let log = self
            .cluster
            .folder
            .join(format!("{}.log", broker_name(self.index)));
        let bytes = std::fs::read(&log).context(|| format!("cannot read {}", log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The broker's data folder, which has a subfolder for each partition.
    pub(crate) fn data_folder(&self) -> PathBuf {
        self.cluster.folder.join(broker_name(self.index))
    }

    fn signal(&self, signal: &str) -> Result<()> {
        match &self.state().jvm {
            Some(jvm) => jvm.signal(signal),
            None => Err(self.is_down()),
        }
    }

    fn take(&self) -> Result<Jvm> {
        let mut state = self.state();
        state.is_paused = false;
        state.jvm.take().ok_or_else(|| self.is_down())
    }

    fn is_down(&self) -> Failure {
        Failure::new(format!("broker {} is not running", self.index))
    }

    fn state(&self) -> MutexGuard<'_, BrokerState> {
        lock(&self.cluster.brokers[self.index])
    }
}
