//! A session with a driver process: from its setup to its exit.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use driver_kit::{About, Produce, RoundResult, Setup};
use serde::Serialize;
use serde_json::Value;

use super::Description;
use crate::measure::Processes;
use crate::process::{LineProcess, check_interrupted};

/// Why a driver has no figures.
#[derive(Debug)]
pub enum Failure {
    /// The client does not support the setup.
    Unable(String),
    /// The driver failed.
    Broken(anyhow::Error),
}

impl Failure {
    /// The text in the table's cell.
    pub fn reason(&self) -> String {
        match self {
            Self::Unable(reason) => reason.clone(),
            Self::Broken(error) => format!("{error:#}"),
        }
    }
}

pub struct Session {
    process: LineProcess,
    pub about: About,
    pub processes: Processes,
}

impl Session {
    /// Starts the driver and makes it create its producer.
    ///
    /// # Errors
    /// Outer: this program was interrupted. Inner: the driver's own failure.
    pub fn start(
        driver: &Description,
        prefix: &[String],
        setup: &Setup,
        log: &Path,
    ) -> Result<std::result::Result<Self, Failure>> {
        let outcome = Self::try_start(driver, prefix, setup, log);
        check_interrupted()?;
        Ok(outcome)
    }

    fn try_start(
        driver: &Description,
        prefix: &[String],
        setup: &Setup,
        log: &Path,
    ) -> std::result::Result<Self, Failure> {
        let mut words = prefix.iter().chain(&driver.run);
        let mut command = Command::new(words.next().expect("run is not empty"));
        command.args(words).current_dir(&driver.folder);
        let mut process =
            LineProcess::start(&driver.name, command, log, LONGEST_END).map_err(Failure::Broken)?;
        let answer = request(&mut process, &tagged("setup", setup), LONGEST_SETUP)
            .map_err(Failure::Broken)?;
        if let Some(reason) = answer["unable"].as_str() {
            return Err(Failure::Unable(reason.to_owned()));
        }
        let about = checked(answer).map_err(Failure::Broken)?;
        let processes = Processes::of(process.id());
        Ok(Self {
            process,
            about,
            processes,
        })
    }

    /// Runs one round, which should take about `expected`.
    pub fn produce(&mut self, produce: &Produce, expected: Duration) -> Result<RoundResult> {
        let answer = request(
            &mut self.process,
            &tagged("produce", produce),
            expected + LONGEST_ROUND,
        )?;
        checked(answer)
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

/// Timeout of a setup: some clients, such as Java's, load a lot of code.
const LONGEST_SETUP: Duration = Duration::from_secs(60);
/// Added to the expected time of a round.
const LONGEST_ROUND: Duration = Duration::from_secs(45);
const LONGEST_END: Duration = Duration::from_secs(4);

fn tagged(command: &str, fields: &impl Serialize) -> Value {
    let mut value = serde_json::to_value(fields).expect("plain fields");
    value["cmd"] = command.into();
    value
}

fn request(process: &mut LineProcess, command: &Value, limit: Duration) -> Result<Value> {
    process.write_line(&command.to_string())?;
    let line = process.read_line(limit)?;
    serde_json::from_str(&line).with_context(|| format!("the driver answered {line:?}"))
}

/// The fields of a response, or its error.
fn checked<T: serde::de::DeserializeOwned>(answer: Value) -> Result<T> {
    if answer["ok"] == Value::Bool(true) {
        return Ok(serde_json::from_value(answer)?);
    }
    match answer["error"].as_str() {
        Some(error) => Err(anyhow!("{error}")),
        None => Err(anyhow!("the driver answered {answer}")),
    }
}
