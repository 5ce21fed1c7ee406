//! Small wrong changes, planted on purpose, to see what finds them. Not one of them is in a build without
//! `--cfg planted_defects`; with it they are all there, and the one that was [chosen](choose) is at work.
//!
//! Where one is planted stands `if planted!(Name) { … }`, beside the line that is right.

#![cfg_attr(
    not(planted_defects),
    allow(dead_code, unreachable_pub, reason = "a list of names then")
)]

/// Whether this defect is the one at work. `false`, a constant, without `--cfg planted_defects`.
macro_rules! planted {
    ($defect:ident) => {
        cfg!(planted_defects) && crate::planted::is_chosen(crate::planted::Defect::$defect)
    };
}
pub(crate) use planted;

macro_rules! defects {
    ($($(#[doc = $what:literal])+ $name:ident;)*) => {
        /// A wrong change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Defect {
            $($(#[doc = $what])+ $name,)*
        }

        impl Defect {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name, as it stands where it is planted.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// What it does.
            pub fn what(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($what),+).trim_ascii_start(),)*
                }
            }
        }
    };
}

defects! {
    /// A batch takes one sequence fewer than it has records.
    SequenceOffByOne;

    // Of threads that meet at the wrong moment: found by the models of `producer/models`.

    /// A sender that is awake is not notified.
    WakesOnlySleepers;
    /// The sender falls asleep though it was notified.
    SleepsThoughNotified;
    /// The end of the last sleep counts as that of the next.
    KeepsOldSleep;
    /// A latch is set while somebody is about to sleep on it.
    LatchSetUnlocked;
    /// A latch wakes one of those who wait.
    LatchWakesOne;
    /// Memory comes back and nobody is told.
    RefundTellsNobody;
    /// Memory goes to whoever asks first, not to who waits longest.
    LineIsNotKept;
    /// Who gives up waiting for memory does not tell the next in line.
    LeavesLineQuietly;
    /// Who gives up waiting for memory keeps what it had gathered.
    KeepsGathered;
    /// Who is about to wait for memory looks before it takes the lock.
    TicketLooksUnlocked;
    /// A pool that is closed tells only the first in line.
    PoolCloseTellsOne;
    /// A batch's waiters are released while somebody is about to sleep.
    ReleasesUnlocked;
    /// Who sees a batch released need not see what came before.
    ReleasesRelaxed;
    /// A task is registered without another look whether there is anything to wait for.
    RegistersBlindly;
    /// A divided batch releases its waiters before it has pieces.
    ReleasesBeforePieces;
    /// A partition counts as in the inbox until the sender has looked at its queue.
    LeavesInboxLate;
    /// The sender is woken for a batch before it can find the batch's partition.
    WakesBeforeAnnouncing;
    /// A partition goes into the inbox when its new batch can be found already.
    AnnouncesLate;
    /// Closing the producer does not close its queues.
    CloseForgetsQueues;
    /// A flush can find a new batch only when the thread that opened it has gone on.
    IncompleteLate;
    /// A packed batch is no longer counted before the sender can find it.
    PackedBeforeSignalled;
    /// The last batch that was packed tells a sender that ends nothing.
    PackedTellsNobody;
    /// A flush wakes the sender before it counts as under way.
    FlushCountsLate;
    /// A flush does not wake the sender.
    FlushWakesNobody;
    /// A flush whose time is up no longer counts before its batches are left to the sender.
    FlushLeavesLate;
    /// What is left to the sender by one flush is forgotten with what another left.
    FlushForgetsOthers;
    /// A partition's queue is made without asking whether there is one.
    QueueMadeTwice;
    /// The picture's version is shown before its topics.
    VersionBeforeTopics;
    /// A thread goes on with topics that it remembers from a picture before.
    SnapshotStays;
    /// Who is about to wait for metadata looks before it takes the lock.
    MetadataLooksUnlocked;
    /// Closing tells nobody who waits for metadata.
    MetadataCloseTellsNobody;
    /// Who asks for a topic waits past an answer that came while it asked.
    WaitsPastAnswer;
    /// Closing wakes the sender before it says that it is to end.
    ClosesAfterWaking;
    /// The last act of a producer that is given up is left to a sender that has ended.
    LastActLeftBehind;
}

#[cfg(planted_defects)]
static CHOSEN: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(usize::MAX);

/// Puts a defect to work, or none.
#[cfg(planted_defects)]
pub fn choose(defect: Option<Defect>) {
    let number = defect.map_or(usize::MAX, |defect| defect as usize);
    CHOSEN.store(number, std::sync::atomic::Ordering::SeqCst);
}

#[cfg(planted_defects)]
pub(crate) fn is_chosen(defect: Defect) -> bool {
    CHOSEN.load(std::sync::atomic::Ordering::Relaxed) == defect as usize
}

/// Without planted defects none is at work.
#[cfg(not(planted_defects))]
pub(crate) const fn is_chosen(_: Defect) -> bool {
    false
}
