//! What is acknowledged is there, once and in order, over each version of TLS, with and without a client certificate.
//! Each listener takes one version only, so that the broker itself says which was agreed on.

use std::time::Instant;

use super::{Rig, with_certificate};
use crate::ledger::{Ledger, Reading};
use crate::producer::build;
use crate::runner::TestResult;
use crate::workload::{THREADS, send};

const PER_THREAD: usize = 25_000;

pub(super) fn arrive(rig: &Rig) -> TestResult {
    let own = rig.authority.issue(&["client"]);
    for listener in ["TLS12", "TLS13", "MTLS12", "MTLS13"] {
        let topic = format!("tls-{}", listener.to_lowercase());
        rig.cluster.create_topic(&topic, 3, &[])?;
        let began = Instant::now();
        let mut config = rig.config(listener).set("linger.ms", "5");
        if listener.starts_with('M') {
            config = with_certificate(config, &own);
        }
        let producer = build(config)?;
        let ledger = Ledger::new(&topic, THREADS, PER_THREAD);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (producer, ledger) = (&producer, &ledger);
                scope.spawn(move || {
                    for number in 0..PER_THREAD {
                        // The fate is the ledger's to know.
                        drop(send(producer, ledger, thread, number, None));
                    }
                });
            }
        });
        producer.flush()?;
        let took = began.elapsed();
        assert_eq!(
            ledger.tally().acknowledged,
            THREADS * PER_THREAD,
            "{:?}",
            ledger.tally()
        );
        producer.close()?;
        let mut reading = Reading::new(&ledger);
        rig.cluster.read_back(&topic, |record| {
            reading.see(&record);
        })?;
        reading.finish().assert_once_and_in_order();
        println!(
            "    Kafka {}, {listener}: {} records in {took:.2?}",
            rig.cluster.version(),
            THREADS * PER_THREAD
        );
    }
    Ok(())
}
