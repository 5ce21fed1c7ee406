//! Kafka's own command line tools.

use std::io::Read;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::cluster::Cluster;
use super::install::Jars;
use super::process::{Jvm, JvmCommand};
use super::{Context, DEFAULT_VERSION, Failure, Result};

/// Timeout of a tool.
const LONG: Duration = Duration::from_secs(120);
const HEAP_MB: u32 = 512;

/// Runs the main class of a tool of the default version to its end. Returns its exit code and output. Its standard
/// error goes to a log in `folder`.
pub(crate) fn run_tool(
    folder: &Path,
    class: &str,
    arguments: &[&str],
) -> Result<(Option<i32>, String)> {
    let jars = Jars::of(DEFAULT_VERSION)?;
    let mut all = vec![class.to_owned()];
    all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    let mut jvm = Jvm::start(&JvmCommand {
        name: "tool".to_owned(),
        jars: &jars,
        folder,
        heap_mb: HEAP_MB,
        arguments: all,
        piped_output: true,
        jaas: None,
        system_properties: &[],
        logs_handshakes: false,
    })?;
    let mut stdout = jvm.take_stdout().expect("the tool's output is piped");
    let (sender, text) = channel();
    // The thread ends with the JVM, at the latest when this function returns.
    thread::Builder::new()
        .name("kafka-tool-output".to_owned())
        .spawn(move || {
            let mut all = String::new();
            let read = stdout.read_to_string(&mut all).map(|_| all);
            // An error means that the timeout has passed.
            let _ = sender.send(read);
        })
        .context(|| "cannot start a thread".to_owned())?;
    let stdout = text
        .recv_timeout(LONG)
        .map_err(|_| Failure::new(format!("{class} did not end within {LONG:?}")))?
        .context(|| format!("cannot read what {class} prints"))?;
    Ok((jvm.wait(LONG)?.code(), stdout))
}

impl Cluster {
    /// The command line of Kafka's console consumer. Up to 3.9 it is a class of the broker's jar.
    pub(crate) fn console_consumer(&self) -> String {
        let class = if self.coordinator.is_zookeeper {
            "kafka.tools.ConsoleConsumer"
        } else {
            "org.apache.kafka.tools.consumer.ConsoleConsumer"
        };
        let path = self.jars.class_path();
        format!("java -cp {} {class}", path.to_string_lossy())
    }

    /// Runs one of Kafka's admin tools, by its main class.
    pub(crate) fn run_admin_tool(&self, class: &str, arguments: &[&str]) -> Result<()> {
        let servers = self.bootstrap_servers();
        let all = [&["--bootstrap-server", &*servers], arguments].concat();
        let (code, printed) = run_tool(self.folder(), class, &all)?;
        if code == Some(0) {
            return Ok(());
        }
        let errors = std::fs::read_to_string(self.folder().join("tool.log")).unwrap_or_default();
        let failure = Failure::new(format!("{class} ended with {code:?}: {printed}"));
        Err(failure.with_details(&errors))
    }

    /// Sets the SCRAM credentials of a user for both mechanisms. KRaft accepts only one change per request.
    pub(crate) fn create_scram_user(&self, name: &str, password: &str) -> Result<()> {
        for credentials in [
            format!("SCRAM-SHA-256=[iterations=8192,password={password}]"),
            format!("SCRAM-SHA-512=[password={password}]"),
        ] {
            self.run_admin_tool(
                "kafka.admin.ConfigCommand",
                &[
                    "--alter",
                    "--add-config",
                    &credentials,
                    "--entity-type",
                    "users",
                    "--entity-name",
                    name,
                ],
            )?;
        }
        Ok(())
    }
}
