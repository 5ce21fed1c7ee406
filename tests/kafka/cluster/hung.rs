//! One broker of three hangs: what the partitions of the others feel.

use crate::runner::{TestResult, tests};

tests![a_broker_that_hangs_leaves_the_others_their_throughput];

fn a_broker_that_hangs_leaves_the_others_their_throughput() -> TestResult {
    Ok(())
}
