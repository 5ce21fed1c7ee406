//! Builds produce requests from drained batches.

use std::sync::Arc;

use crate::planted::planted;
use crate::util::log::trace;

use super::attempt::Attempt;
use super::{Completion, Produced, Sender};
use crate::client::kafka_client::{ClientRequest, KafkaClient};
use crate::clock::Instant;
use crate::producer::accumulator::Drained;
use crate::producer::batch::EncodedBatch;
use crate::protocol::{
    BatchHead, MemoryRecords, PartitionProduceData, ProduceRequest, Request, TopicProduceData,
};
use crate::types::{Magic, NodeId};
use crate::util::hash::FixedHashMap;

impl<C: KafkaClient<Completion>> Sender<C> {
    /// Sends drained batches to a node in one produce request (SE-10).
    pub(super) fn send_produce_request(
        &mut self,
        node: NodeId,
        drained: &mut Vec<Drained>,
        now: Instant,
    ) {
        trace!(
            self.options.log,
            "sending {} batches to node {node}",
            drained.len()
        );
        self.metrics.record_request(drained, now);
        let mut topics: Vec<TopicProduceData> = Vec::new();
        let mut places = FixedHashMap::default();
        let mut produced = Vec::with_capacity(drained.len());
        let newest = self.newest_format(drained);
        for Drained { index, mut batch } in drained.drain(..) {
            // Expiry was checked before the drain. It is checked again here, because the drain may have spent long on
            // compression.
            if self.is_overdue(&batch, now) && !planted!(OverdueSentAfterPacking) {
                batch.mark_not_sent(now);
                self.give_up_overdue(index, batch, now);
                continue;
            }
            let EncodedBatch { head, body } = match batch.encode(newest) {
                Ok(encoded) => encoded,
                Err(why) => {
                    batch.mark_not_sent(now);
                    self.fail_attempt(index, node, batch, Attempt::Inconvertible(why.into()), now);
                    continue;
                }
            };
            let partition = batch.topic_partition();
            let data = PartitionProduceData {
                index: partition.partition(),
                records: Some(match head {
                    Some(head) => MemoryRecords {
                        head: BatchHead::from(head),
                        body,
                    },
                    None => MemoryRecords::headless(body),
                }),
            };
            topic_of(&mut topics, &mut places, partition.shared_topic())
                .partitions
                .push(data);
            produced.push(Produced {
                index,
                id: batch.id(),
            });
            // At most one batch of the partition is in flight: a later batch could otherwise overtake a retry (SE-22).
            if self.options.guarantee_order {
                self.drainer.mute(index, now);
            }
            let expiry = batch.created() + self.options.delivery_timeout;
            self.in_flight.insert(index, node, batch, expiry);
        }
        // Every batch has expired or could not be converted.
        if topics.is_empty() {
            return;
        }
        let request = ProduceRequest {
            transactional_id: self
                .transactions
                .as_ref()
                .and_then(|transactions| transactions.transactional_id().cloned()),
            acks: self.options.acks,
            // How long the leader waits for its in-sync replicas with acks=all.
            timeout_ms: i32::try_from(self.options.request_timeout.as_millis()).unwrap_or(i32::MAX),
            topics,
        };
        self.shared.counters.request_sent();
        let request = ClientRequest {
            node,
            request: Request::Produce(request),
            timeout: self.options.request_timeout,
            tag: Completion::Produce(produced),
        };
        self.client.send(request, now);
        self.shared
            .counters
            .requests_in_flight(self.client.in_flight_request_count());
    }

    /// The newest message format for a request: the oldest of the format that all brokers support now and the formats
    /// that its batches were built for.
    fn newest_format(&self, drained: &[Drained]) -> Magic {
        let usable = self.shared.usable_magic.load();
        let made_for = drained.iter().map(|drained| drained.batch.magic());
        made_for.fold(usable, Magic::min)
    }
}

/// Finds or adds the topic's entry in the request. Drained batches of a topic are mostly adjacent; batches of
/// partitions that were added to the topic later are not.
fn topic_of<'a>(
    topics: &'a mut Vec<TopicProduceData>,
    places: &mut FixedHashMap<Arc<str>, usize>,
    name: &Arc<str>,
) -> &'a mut TopicProduceData {
    let add = |topics: &mut Vec<TopicProduceData>| {
        topics.push(TopicProduceData {
            name: Arc::clone(name),
            partitions: Vec::new(),
        });
        topics.len() - 1
    };
    let at = match topics.last() {
        None => add(topics),
        Some(last) if Arc::ptr_eq(&last.name, name) || last.name == *name => topics.len() - 1,
        Some(last) => {
            // Most requests have one topic: the map is filled only when a second topic comes.
            if places.is_empty() {
                places.insert(Arc::clone(&last.name), 0);
            }
            *places
                .entry(Arc::clone(name))
                .or_insert_with(|| add(topics))
        }
    };
    &mut topics[at]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_whose_batches_are_not_adjacent_has_one_entry() {
        let (mut topics, mut places) = (Vec::new(), FixedHashMap::default());
        for name in ["a", "a", "b", "a", "c", "b", "a"] {
            let topic = topic_of(&mut topics, &mut places, &Arc::from(name));
            topic.partitions.push(PartitionProduceData {
                index: 0,
                records: None,
            });
        }
        let counts = topics.iter().map(|t| (&*t.name, t.partitions.len()));
        assert_eq!(counts.collect::<Vec<_>>(), [("a", 4), ("b", 2), ("c", 1)]);
    }
}
