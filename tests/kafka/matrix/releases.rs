//! The versions of Kafka in the matrix, and their features.

/// The versions of the matrix, oldest first: one for each protocol change that affects a producer, and the newest.
pub(super) const RELEASES: [Release; 8] = [
    Release::new("0.10.2.2", 1),
    Release::new("0.11.0.3", 2),
    Release::new("1.1.1", 2),
    Release::new("2.4.1", 2).with_zstd(),
    Release::new("2.8.2", 2).with_zstd(),
    Release::new("3.0.0", 2).with_zstd(),
    Release::new("3.9.2", 2).with_zstd(),
    Release::new("4.4.0", 2).with_zstd(),
];

pub(crate) const NEWEST: &str = RELEASES[RELEASES.len() - 1].version;

/// The values of `compression.type`.
pub(super) const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// A version of Kafka.
pub(super) struct Release {
    pub(super) version: &'static str,
    /// Its newest message format.
    pub(super) magic: i8,
    has_zstd: bool,
}

impl Release {
    const fn new(version: &'static str, magic: i8) -> Self {
        Self {
            version,
            magic,
            has_zstd: false,
        }
    }

    const fn with_zstd(mut self) -> Self {
        self.has_zstd = true;
        self
    }

    /// The release with this version, which must be in the matrix.
    pub(super) fn of(version: &str) -> &'static Self {
        RELEASES
            .iter()
            .find(|release| release.version == version)
            .expect("the matrix has this version")
    }

    pub(super) fn takes(&self, codec: &str) -> bool {
        codec != "zstd" || self.has_zstd
    }

    /// Producer ids and headers came with format 2.
    pub(super) fn has_idempotence(&self) -> bool {
        self.magic >= 2
    }

    pub(super) fn has_headers(&self) -> bool {
        self.magic >= 2
    }
}
