//! Kafka's own command line tools.

use std::io::Read;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

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
