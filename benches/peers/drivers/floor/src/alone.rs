//! The cost of compression alone: compresses the records of a scenario in the batches that a producer would build.
//! Nothing is sent.

use std::hint::black_box;
use std::time::Instant;

use driver_kit::{About, Blocks, Client, Mode, Record, Refusal, Setup, Share, Ticket};

use crate::codec::Codec;
use crate::requests::{Batch, Maker, Shape};

/// The codec of a scenario, and its input.
pub struct CodecAlone {
    compression: String,
    batches: Vec<Batch>,
}

/// Batches that are compressed in turn.
const BATCHES: usize = 16;

impl Client for CodecAlone {
    fn start(setup: &Setup) -> Result<(Self, About), Refusal> {
        if !setup.compresses() {
            return Err(Refusal::Unable("there is nothing to compress".into()));
        }
        let shape = Shape::of(setup, false);
        let (values, keys) = Blocks::of(setup).map_err(Refusal::Failed)?;
        let codec = Codec::of(setup).map_err(Refusal::Failed)?;
        let mut maker = Maker::new(&shape, &setup.topic, &values, keys.as_ref(), codec);
        let batches = maker.uncompressed(BATCHES).map_err(Refusal::Failed)?;
        let plain: usize = batches.iter().map(|batch| batch.bytes.len()).sum();
        let records: u64 = batches.iter().map(|batch| batch.records).sum();
        let about = About {
            client: format!("{} as this project's producer uses it", setup.compression),
            settings: [
                ("batch bytes", shape.batch_bytes.to_string()),
                ("bytes to compress in a batch", (plain / BATCHES).to_string()),
                ("records in a batch", (records / BATCHES as u64).to_string()),
            ]
            .map(|(key, value)| (key.to_owned(), value))
            .into(),
            unequal: Vec::new(),
            notes: vec![
                "no producer and nothing sent: batches made beforehand, as full as batch.size is when compressed, are \
                 compressed; a blast's records are rounded up to whole batches"
                    .into(),
            ],
        };
        let alone = Self {
            compression: setup.compression.clone(),
            batches,
        };
        Ok((alone, about))
    }

    fn send(&self, _: Record<'_>, _: Ticket) -> Result<(), String> {
        Err("it compresses whole batches, as fast as it can".into())
    }

    fn send_quietly(&self, record: Record<'_>) -> Result<(), String> {
        self.send_and_wait(record)
    }

    fn send_and_wait(&self, _: Record<'_>) -> Result<(), String> {
        Err("nothing is sent, so nothing can be waited for".into())
    }

    fn flush(&self, _: Option<Instant>) -> Result<(), String> {
        Ok(())
    }

    fn share(&self, share: &Share) {
        if share.mode() != Mode::Blast {
            return self.one_after_the_other(share);
        }
        if let Err(reason) = self.compress(share) {
            share.failed(share.len(), reason);
        }
    }
}

impl CodecAlone {
    fn compress(&self, share: &Share) -> Result<(), String> {
        let mut codec = Codec::named(&self.compression)?.ok_or("there is nothing to compress")?;
        let (mut left, mut out) = (share.len(), Vec::new());
        for batch in self.batches.iter().cycle() {
            if left == 0 {
                break;
            }
            out.clear();
            codec.compress(&batch.bytes, &mut out)?;
            black_box(&out);
            share.sent(batch.records);
            share.acked(batch.records);
            left = left.saturating_sub(batch.records);
        }
        Ok(())
    }
}
