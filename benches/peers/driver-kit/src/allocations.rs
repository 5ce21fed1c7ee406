//! Counting allocations, in the flavours of the kit that do.

#[cfg(feature = "count-allocations-of-process")]
#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

/// Runs `work` and tells how often memory was allocated meanwhile on this thread, if that is counted.
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

/// How often memory was allocated so far in this process, if that is counted.
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
