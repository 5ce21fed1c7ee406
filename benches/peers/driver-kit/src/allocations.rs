//! Counts allocations, if a feature of the kit enables it.

#[cfg(feature = "count-allocations-of-process")]
#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

/// Runs `work`. Returns the number of allocations on this thread meanwhile; `None` if they are not counted.
pub(crate) fn of_caller(work: impl FnOnce()) -> Option<u64> {
    #[cfg(feature = "count-allocations-of-callers")]
    {
        Some(allocation_counter::measure(work).count_total)
    }
    #[cfg(not(feature = "count-allocations-of-callers"))]
    {
        work();
        None
    }
}

/// The number of allocations of this process so far; `None` if they are not counted.
pub(crate) fn of_process() -> Option<u64> {
    #[cfg(feature = "count-allocations-of-process")]
    {
        let stats = stats_alloc::INSTRUMENTED_SYSTEM.stats();
        Some((stats.allocations + stats.reallocations) as u64)
    }
    #[cfg(not(feature = "count-allocations-of-process"))]
    {
        None
    }
}
