//! The helper JVM, and its protocol.
//!
//! `java/kafkaproducer/testing/Helper.java` documents calls and responses on the pipes.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ChildStdout;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use super::install::{Jars, run_folder};
use super::process::{Jvm, JvmCommand, describe_exit};
use super::{Context, DEFAULT_VERSION, Failure, Result};

/// Timeout of a wait for the helper's next frame. The helper's own timeouts are shorter.
const SILENCE: Duration = Duration::from_secs(120);
const HEAP_MB: u32 = 512;
/// Capacity of the queue of frames.
const FRAMES_AHEAD: usize = 16;
/// Size limit of a frame, above any real one: records are limited by `message.max.bytes`.
const FRAME_LIMIT: usize = 256 * 1024 * 1024;

/// A JVM with Kafka's own clients and tools. The helper of the default version supports all calls and every broker;
/// helpers of other versions can only read, fill and dump.
pub(crate) struct Helper {
    version: String,
    folder: PathBuf,
    owns_folder: bool,
    running: Option<Running>,
}

struct Running {
    jvm: Jvm,
    frames: Receiver<std::io::Result<Frame>>,
}

struct Frame {
    kind: u8,
    bytes: Vec<u8>,
}

/// The `isolation.level` of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    ReadUncommitted,
    ReadCommitted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimestampType {
    CreateTime,
    LogAppendTime,
    None,
}

/// Name and value of a header.
pub(crate) type Header<'a> = (&'a str, Option<&'a [u8]>);

/// A record returned by Kafka's consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReadRecord<'a> {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) timestamp_type: TimestampType,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: Vec<Header<'a>>,
}

/// A record for Kafka's own producer.
#[derive(Clone, Debug, Default)]
pub(crate) struct JavaRecord<'a> {
    pub(crate) partition: Option<i32>,
    pub(crate) timestamp: Option<i64>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: Vec<Header<'a>>,
}

/// How Kafka's own producer uses a transaction around the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transaction {
    None,
    Commit,
    Abort,
}

/// Partition, offset and timestamp that Kafka's own producer returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
}

/// Hash and partition of a key in Java's client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyPartition {
    pub(crate) hash: i32,
    pub(crate) partition: i32,
}

/// Builder of a call: its name and arguments.
pub(crate) struct Call {
    count: u32,
    bytes: Vec<u8>,
}

impl Call {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            count: 0,
            bytes: Vec::new(),
        }
        .text(name)
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.bytes(Some(text.as_bytes()))
    }

    pub(crate) fn number(self, number: &impl ToString) -> Self {
        self.text(&number.to_string())
    }

    pub(crate) fn bytes(mut self, bytes: Option<&[u8]>) -> Self {
        self.count += 1;
        let length = bytes.map_or(-1, |bytes| bytes.len() as i32);
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(bytes.unwrap_or_default());
        self
    }

    pub(crate) fn map(mut self, pairs: &[(&str, &str)]) -> Self {
        self = self.number(&pairs.len());
        for (key, value) in pairs {
            self = self.text(key).text(value);
        }
        self
    }

    fn record(mut self, record: &JavaRecord<'_>) -> Self {
        let partition = record.partition.map(|number| number.to_string());
        let timestamp = record.timestamp.map(|number| number.to_string());
        self = self.bytes(partition.as_deref().map(str::as_bytes));
        self = self.bytes(timestamp.as_deref().map(str::as_bytes));
        self = self
            .bytes(record.key)
            .bytes(record.value)
            .number(&record.headers.len());
        for (name, value) in &record.headers {
            self = self.text(name).bytes(*value);
        }
        self
    }
}

impl Helper {
    /// A helper with its own folder. The JVM starts with the first call.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            version: DEFAULT_VERSION.to_owned(),
            folder: run_folder()?,
            owns_folder: true,
            running: None,
        })
    }

    /// A helper whose log is in a cluster's folder.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self::of_version(DEFAULT_VERSION, folder)
    }

    /// As [`Self::in_folder`], with another version of Kafka's code.
    pub(crate) fn of_version(version: &str, folder: &Path) -> Self {
        Self {
            version: version.to_owned(),
            folder: folder.to_owned(),
            owns_folder: false,
            running: None,
        }
    }

    /// Starts the JVM now, so that it is warm for the first call.
    pub(crate) fn warm_up(&mut self) -> Result<()> {
        if self.running.is_none() {
            self.running = Some(Running::start(&self.version, &self.folder)?);
        }
        Ok(())
    }

    /// The helper's process id, if it is running.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.jvm.id())
    }

    /// The hash and partition of each key (not null) by Java's default partitioner.
    pub(crate) fn partitions_of_keys<'k>(
        &mut self,
        keys: impl IntoIterator<Item = &'k [u8]>,
        partitions: i32,
    ) -> Result<Vec<KeyPartition>> {
        let mut call = Call::new("partitions").number(&partitions);
        for key in keys {
            call = call.bytes(Some(key));
        }
        self.lines(&call)?
            .iter()
            .map(|line| parse_key_partition(line))
            .collect()
    }

    /// Makes a call without a result.
    pub(crate) fn run(&mut self, call: &Call) -> Result<()> {
        self.lines(call).map(drop)
    }

    /// Makes a call whose result is lines.
    pub(crate) fn lines(&mut self, call: &Call) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        self.each_line(call, |line| lines.push(line.to_owned()))?;
        Ok(lines)
    }

    /// Makes a call whose result is lines, and passes each line to `see`: the result may be too large to hold in
    /// memory.
    pub(crate) fn each_line(&mut self, call: &Call, mut see: impl FnMut(&str)) -> Result<()> {
        let mut pending = Vec::new();
        self.frames(call, |frame| {
            for piece in frame.bytes.split_inclusive(|byte| *byte == b'\n') {
                pending.extend_from_slice(piece);
                if pending.ends_with(b"\n") {
                    pending.pop();
                    see(&String::from_utf8_lossy(&pending));
                    pending.clear();
                }
            }
            Ok(())
        })
    }

    /// Makes a call whose result is records.
    pub(crate) fn each_record(
        &mut self,
        call: &Call,
        mut see: impl FnMut(ReadRecord<'_>),
    ) -> Result<()> {
        self.frames(call, |frame| {
            let mut rest = Fields(&frame.bytes);
            while !rest.0.is_empty() {
                let record = rest.record();
                see(record.ok_or_else(|| Failure::new("the helper sent a broken record"))?);
            }
            Ok(())
        })
    }

    /// Sends records with Kafka's own producer.
    pub(crate) fn produce(
        &mut self,
        configs: &[(&str, &str)],
        topic: &str,
        transaction: Transaction,
        records: &[JavaRecord<'_>],
    ) -> Result<Vec<Written>> {
        let transaction = match transaction {
            Transaction::None => "none",
            Transaction::Commit => "commit",
            Transaction::Abort => "abort",
        };
        let mut call = Call::new("produce")
            .map(configs)
            .text(topic)
            .text(transaction);
        for record in records {
            call = call.record(record);
        }
        self.lines(&call)?
            .iter()
            .map(|line| parse_written(line))
            .collect()
    }

    fn frames(&mut self, call: &Call, see: impl FnMut(Frame) -> Result<()>) -> Result<()> {
        let mut running = match self.running.take() {
            Some(running) => running,
            None => Running::start(&self.version, &self.folder)?,
        };
        match running.call(call, see) {
            Ok(answer) => {
                self.running = Some(running);
                answer
            }
            // The position in the pipes is unknown: kill the JVM; the next call starts another.
            Err(failure) => Err(failure.with_details(&running.jvm.tail())),
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.running = None;
        if self.owns_folder {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

impl Running {
    fn start(version: &str, folder: &Path) -> Result<Self> {
        let jars = Jars::of(version)?;
        let name = if version == DEFAULT_VERSION {
            "helper".to_owned()
        } else {
            format!("helper-{version}")
        };
        let mut jvm = Jvm::start(&JvmCommand {
            name,
            jars: &jars,
            folder,
            heap_mb: HEAP_MB,
            arguments: vec!["kafkaproducer.testing.Helper".to_owned()],
            piped_output: true,
            jaas: None,
            system_properties: &[],
            logs_handshakes: false,
        })?;
        let stdout = jvm.take_stdout().expect("the helper's output is piped");
        let (sender, frames) = sync_channel(FRAMES_AHEAD);
        // The thread ends when the JVM closes its output or the receiver is dropped. Both happen when the JVM ends, so
        // the thread need not be joined.
        thread::Builder::new()
            .name("kafka-helper-frames".to_owned())
            .spawn(move || {
                let mut stdout = BufReader::with_capacity(1 << 18, stdout);
                loop {
                    let frame = read_frame(&mut stdout);
                    let last = frame.is_err();
                    if sender.send(frame).is_err() || last {
                        return;
                    }
                }
            })
            .context(|| "cannot start a thread".to_owned())?;
        Ok(Self { jvm, frames })
    }

    /// The outer result is that of the helper process, the inner one that of the call.
    fn call(
        &mut self,
        call: &Call,
        mut see: impl FnMut(Frame) -> Result<()>,
    ) -> Result<Result<()>> {
        let mut bytes = call.count.to_be_bytes().to_vec();
        bytes.extend_from_slice(&call.bytes);
        self.jvm.write(&bytes)?;
        loop {
            let frame = match self.frames.recv_timeout(SILENCE) {
                Ok(Ok(frame)) => frame,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(Failure::new(format!(
                        "the helper is silent for {SILENCE:?}"
                    )));
                }
                Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
            };
            match frame.kind {
                b'K' => return Ok(Ok(())),
                b'E' => {
                    let why = String::from_utf8_lossy(&frame.bytes).into_owned();
                    return Ok(Err(Failure::new(why)));
                }
                _ => see(frame)?,
            }
        }
    }

    fn ended(&mut self) -> Failure {
        match self.jvm.wait(Duration::from_secs(5)) {
            Ok(status) => Failure::new(format!("the helper ended: {}", describe_exit(status))),
            Err(failure) => failure.during("the helper closed its output"),
        }
    }
}

fn read_frame(input: &mut BufReader<ChildStdout>) -> std::io::Result<Frame> {
    let mut head = [0; 5];
    input.read_exact(&mut head)?;
    let [kind, length @ ..] = head;
    let length = u32::from_be_bytes(length) as usize;
    if length > FRAME_LIMIT {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length];
    input.read_exact(&mut bytes)?;
    Ok(Frame { kind, bytes })
}

/// Bytes, or null.
type Nullable<'a> = Option<&'a [u8]>;

/// The unread part of a frame of records. Each method returns `None` if the frame is malformed.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn record(&mut self) -> Option<ReadRecord<'a>> {
        let partition = self.int()?;
        let offset = self.long()?;
        let timestamp = self.long()?;
        let timestamp_type = match self.take(1)? {
            [0] => TimestampType::CreateTime,
            [1] => TimestampType::LogAppendTime,
            _ => TimestampType::None,
        };
        let key = self.nullable()?;
        let value = self.nullable()?;
        let count = self.int()?;
        let mut headers = Vec::new();
        for _ in 0..count {
            let name = std::str::from_utf8(self.nullable()??).ok()?;
            headers.push((name, self.nullable()?));
        }
        Some(ReadRecord {
            partition,
            offset,
            timestamp,
            timestamp_type,
            key,
            value,
            headers,
        })
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn int(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn long(&mut self) -> Option<i64> {
        Some(i64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    fn nullable(&mut self) -> Option<Nullable<'a>> {
        match self.int()? {
            -1 => Some(None),
            length => Some(Some(self.take(usize::try_from(length).ok()?)?)),
        }
    }
}

fn parse_written(line: &str) -> Result<Written> {
    let parse = || {
        let mut words = line.split(' ');
        Some(Written {
            partition: words.next()?.parse().ok()?,
            offset: words.next()?.parse().ok()?,
            timestamp: words.next()?.parse().ok()?,
        })
    };
    parse().ok_or_else(|| Failure::new(format!("the helper sent {line:?}")))
}

fn parse_key_partition(line: &str) -> Result<KeyPartition> {
    let parse = || {
        let (hash, partition) = line.split_once(' ')?;
        Some(KeyPartition {
            hash: hash.parse().ok()?,
            partition: partition.parse().ok()?,
        })
    };
    parse().ok_or_else(|| Failure::new(format!("the helper sent {line:?}")))
}
