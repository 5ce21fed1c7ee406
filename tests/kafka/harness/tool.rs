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

/// A tool that takes longer hangs.
const LONG: Duration = Duration::from_secs(120);
const HEAP_MB: u32 = 512;

/// Runs the main class of a tool of the default version to its end: its exit code and what it printed.
/// Its errors go into a log in `folder`.
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
    })?;
    let mut stdout = jvm.take_stdout().expect("the tool's output is piped");
    let (sender, text) = channel();
    // Ends when the JVM does, which is when this function returns at the latest.
    thread::Builder::new()
        .name("kafka-tool-output".to_owned())
        .spawn(move || {
            let mut all = String::new();
            let read = stdout.read_to_string(&mut all).map(|_| all);
            // Nobody listens any more when the time was up.
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
    /// Runs one of Kafka's tools that change something in the cluster, by the class of its `main`.
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

    /// Gives a user a password for both kinds of SCRAM. KRaft takes one of a user at a time.
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
