// Documentation-only module: the pages of `docs/guide`, so that they are on docs.rs too and their code is compiled as
// documentation tests.
//
// A page refers to another page or to an item by a link reference, such as `[failures]`. The pages define these
// references for readers of the repository: files, and addresses on docs.rs. `links.md` defines them as items of this
// crate; it comes first, and the first definition of a reference wins. So a failed test is reported for `links.md`, with
// a line number that counts its lines first.

/// The code of the README, as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

/// A page of the guide: a module without items.
macro_rules! pages {
    ($($name:ident = $file:literal,)*) => {$(
        #[doc = include_str!("links.md")]
        #[cfg_attr(feature = "testing", doc = include_str!("testing_links.md"))]
        #[doc = include_str!(concat!("../../docs/guide/", $file))]
        pub mod $name {}
    )*};
}

pages! {
    sending = "sending.md",
    failures = "failures.md",
    shutdown = "shutdown.md",
    back_pressure = "back-pressure.md",
    async_programs = "async-programs.md",
    testing = "testing.md",
    tuning = "tuning.md",
    schema_registry = "schema-registry.md",
    from_rdkafka = "from-rdkafka.md",
    from_java = "from-java.md",
    from_kafka_crate = "from-kafka-crate.md",
}
