//! A driver process: started with the command in its `driver.json`, controlled by lines of JSON.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// The description of one driver in `driver.json`.
#[derive(Debug, Clone)]
pub struct Description {
    pub name: String,
    folder: PathBuf,
    build: Vec<String>,
    run: Vec<String>,
}

impl Description {
    /// The drivers described in the subfolders of `folder`, sorted by name.
    pub fn all(folder: &Path) -> Result<Vec<Self>, Box<dyn Error>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let folder = entry?.path();
            let file = folder.join("driver.json");
            if file.is_file() {
                let text = fs::read_to_string(&file)?;
                let read = Self::read(&folder, &text);
                found.extend(read.map_err(|error| format!("{}: {error}", file.display()))?);
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn read(folder: &Path, text: &str) -> Result<Vec<Self>, Box<dyn Error>> {
        let described = match serde_json::from_str(text)? {
            Value::Array(several) => several,
            one => vec![one],
        };
        let one = |value: &Value| -> Result<Self, Box<dyn Error>> {
            Ok(Self {
                name: value["name"]
                    .as_str()
                    .ok_or("a driver has a name")?
                    .to_owned(),
                folder: folder.to_owned(),
                build: words(&value["build"])?,
                run: words(&value["run"])?,
            })
        };
        described.iter().map(one).collect()
    }

    /// Whether the driver sends the requested records. Floors send requests that they built before.
    pub fn is_producer(&self) -> bool {
        !self.name.starts_with("floor") && !self.name.ends_with("-alone")
    }

    /// Builds the driver; the output goes to the output of this program.
    pub fn build(&self) -> Result<(), Box<dyn Error>> {
        let mut command = self.command(&self.build)?;
        // Each driver has its own target folder, regardless of the caller's environment.
        command.env_remove("CARGO_TARGET_DIR");
        let status = command.stdin(Stdio::null()).status()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("{} does not build ({status})", self.name).into())
        }
    }

    pub fn start(&self) -> Result<Driver, Box<dyn Error>> {
        let mut process = self
            .command(&self.run)?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} does not start: {error}; is it built?", self.name))?;
        let missing = "a pipe that was asked for";
        let commands = process.stdin.take().ok_or(missing)?;
        let output = BufReader::new(process.stdout.take().ok_or(missing)?);
        let (answered, answers) = channel();
        // The thread ends with the driver's output.
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if answered.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Driver {
            commands,
            answers,
            process,
        })
    }

    fn command(&self, words: &[String]) -> Result<Command, Box<dyn Error>> {
        let (program, arguments) = words.split_first().ok_or("a command has a program")?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.folder);
        Ok(command)
    }
}

fn words(value: &Value) -> Result<Vec<String>, Box<dyn Error>> {
    let word = |word: &Value| word.as_str().map(str::to_owned);
    let words = value
        .as_array()
        .and_then(|words| words.iter().map(word).collect());
    words.ok_or_else(|| format!("{value} is no list of strings").into())
}

/// A running driver. Dropping it ends the process.
#[derive(Debug)]
pub struct Driver {
    process: Child,
    commands: ChildStdin,
    answers: Receiver<String>,
}

impl Driver {
    /// Sends a command, and waits for the response.
    pub fn ask(&mut self, command: &Value) -> Result<Value, Box<dyn Error>> {
        self.send(command)?;
        let line = match self.answers.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => {
                return Err(format!("no answer in {PATIENCE:?}").into());
            }
            Err(RecvTimeoutError::Disconnected) => return Err("it ended without an answer".into()),
        };
        serde_json::from_str(&line).map_err(|error| format!("{error} in {line:?}").into())
    }

    fn send(&mut self, command: &Value) -> Result<(), Box<dyn Error>> {
        writeln!(self.commands, "{command}")?;
        Ok(self.commands.flush()?)
    }

    /// Ends the driver with the command `quit`. Any further output is an error.
    pub fn quit(mut self) -> Result<(), Box<dyn Error>> {
        // A driver that rejected its setup may have ended already.
        let _ = self.send(&serde_json::json!({"cmd": "quit"}));
        match self.answers.recv_timeout(PATIENCE) {
            Ok(line) => return Err(format!("it answered quit with {line:?}").into()),
            Err(RecvTimeoutError::Timeout) => return Err("it does not quit".into()),
            Err(RecvTimeoutError::Disconnected) => {}
        }
        let status = self.process.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("it ended with {status}").into())
        }
    }

    /// The CPU time of all its threads so far; `None` without `/proc`.
    pub fn cpu(&self) -> Option<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).ok()?;
        // The second field is a name in parentheses; user and system time are fields 14 and 15.
        let (_, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_ascii_whitespace().skip(11);
        let mut ticks = || fields.next()?.parse::<u64>().ok();
        let (user, system) = (ticks()?, ticks()?);
        Some(Duration::from_millis((user + system) * MILLIS_PER_TICK))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Timeout of a response, longer than any round.
const PATIENCE: Duration = Duration::from_secs(60);

/// Linux reports CPU time in hundredths of a second, regardless of its internal tick.
const MILLIS_PER_TICK: u64 = 10;
