//! The table of all configuration keys, one row for each (Kafka's `ConfigDef`).
//!
//! Parsing, validation, defaults and `docs/CONFIGURATION.md` all use this table. Each group of rows has a file in this
//! folder. A default is written as text, as in a configuration, and is read by the same parser.

mod batching;
mod connection;
mod delivery;
mod general;
mod observability;
mod sasl;
mod tls;
mod transactions;

/// One configuration key: its name, type, default, valid values and description.
///
/// [`ProducerConfig::keys`](crate::ProducerConfig::keys) lists all of them.
///
/// # Kafka
/// `ConfigDef.ConfigKey`.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigKey {
    name: &'static str,
    config_type: ConfigType,
    default: Option<&'static str>,
    validator: Validator,
    importance: Importance,
    group: Group,
    doc: &'static str,
    note: Option<&'static str>,
}

impl ConfigKey {
    /// A row with the mandatory columns; the `const` methods below add the optional ones.
    const fn new(
        name: &'static str,
        config_type: ConfigType,
        default: Option<&'static str>,
        importance: Importance,
        doc: &'static str,
    ) -> Self {
        Self {
            name,
            config_type,
            default,
            validator: Validator::Any,
            importance,
            group: Group::General,
            doc,
            note: None,
        }
    }

    const fn valid(mut self, validator: Validator) -> Self {
        self.validator = validator;
        self
    }

    const fn group_of(mut self, group: Group) -> Self {
        self.group = group;
        self
    }

    const fn note_of(mut self, note: &'static str) -> Self {
        self.note = Some(note);
        self
    }

    /// The key as it is written in a configuration.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The type that the key's value is parsed to.
    pub fn config_type(&self) -> ConfigType {
        self.config_type
    }

    /// The default as text; `None` if the key has none.
    pub fn default_value(&self) -> Option<&'static str> {
        self.default
    }

    /// The importance of the key for most users.
    pub fn importance(&self) -> Importance {
        self.importance
    }

    /// The group that the key is documented in.
    pub fn group(&self) -> Group {
        self.group
    }

    /// The description.
    pub fn documentation(&self) -> &'static str {
        self.doc
    }

    /// Differences from Kafka, and unsupported values; `None` if there is nothing to note.
    pub fn note(&self) -> Option<&'static str> {
        self.note
    }

    /// The valid values in words; `None` if every value of the type is valid.
    pub fn valid_values(&self) -> Option<String> {
        self.validator.describe()
    }

    /// True if the value must not be printed.
    pub fn is_password(&self) -> bool {
        self.config_type == ConfigType::Password
    }

    pub(crate) fn validator(&self) -> Validator {
        self.validator
    }
}

/// The type of a key's value.
///
/// # Kafka
/// `ConfigDef.Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigType {
    /// `true` or `false`, in any case.
    Boolean,
    /// A 16-bit number.
    Short,
    /// A 32-bit number.
    Int,
    /// A 64-bit number.
    Long,
    /// A floating-point number.
    Double,
    /// Text; whitespace at both ends is trimmed.
    Text,
    /// Items separated by commas; whitespace around each is trimmed.
    List,
    /// The class name of a plug-in, or the name that it is registered with.
    Class,
    /// A secret, which is never printed.
    Password,
}

impl ConfigType {
    /// The name used in the documentation.
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Short => "short",
            Self::Int => "int",
            Self::Long => "long",
            Self::Double => "double",
            Self::Text => "string",
            Self::List => "list",
            Self::Class => "class",
            Self::Password => "password",
        }
    }

    /// The type with its article, for messages: "this is not …", "set it to …".
    pub(crate) fn with_article(self) -> &'static str {
        match self {
            Self::Boolean => "true or false",
            Self::Short => "a 16-bit whole number",
            Self::Int => "a 32-bit whole number",
            Self::Long => "a 64-bit whole number",
            Self::Double => "a number",
            Self::Text | Self::Password => "a text",
            Self::List => "a list separated by commas",
            Self::Class => "the name of a plug-in",
        }
    }
}

/// The constraint on a value beyond its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Validator {
    Any,
    AtLeast(i64),
    /// An inclusive range.
    Between(i64, i64),
    /// An inclusive range, or one number outside of it.
    BetweenOr(i64, i64, i64),
    /// An inclusive range of floating-point numbers.
    Fraction(f64, f64),
    /// One of these texts, compared case-sensitively.
    OneOf(&'static [&'static str]),
    /// A text whose length in bytes is in this inclusive range.
    Bytes(usize, usize),
}

impl Validator {
    pub(crate) fn describe(self) -> Option<String> {
        match self {
            Self::Any => None,
            Self::AtLeast(min) => Some(format!("{min} or more")),
            Self::Between(min, max) => Some(format!("from {min} to {max}")),
            Self::BetweenOr(min, max, other) => Some(format!("from {min} to {max}, or {other}")),
            Self::Fraction(min, max) => Some(format!("from {min} to {max}")),
            Self::OneOf(valid) => Some(format!("one of {}", valid.join(", "))),
            Self::Bytes(0, max) => Some(format!("a text of up to {max} bytes")),
            Self::Bytes(min, max) => Some(format!("a text of {min} to {max} bytes")),
        }
    }
}

/// The importance of a key, as Kafka ranks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Importance {
    /// Review it before going to production.
    High,
    /// Useful to know.
    Medium,
    /// For special cases.
    Low,
}

impl Importance {
    /// The name used in the documentation.
    pub fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

/// A group of keys in the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Group {
    /// Keys that every producer needs, and plug-ins.
    General,
    /// Batching and memory.
    Batching,
    /// Delivery and retries.
    Delivery,
    /// Idempotence and transactions.
    Transactions,
    /// Connections and metadata.
    Connection,
    /// Metrics and metrics reporters.
    Observability,
    /// TLS.
    Tls,
    /// SASL.
    Sasl,
}

impl Group {
    /// All groups, in the order of the documentation.
    pub const ALL: &[Self] = &[
        Self::General,
        Self::Batching,
        Self::Delivery,
        Self::Transactions,
        Self::Connection,
        Self::Observability,
        Self::Tls,
        Self::Sasl,
    ];

    /// The heading used in the documentation.
    pub fn title(self) -> &'static str {
        match self {
            Self::General => "General",
            Self::Batching => "Batching and memory",
            Self::Delivery => "Delivery and retries",
            Self::Transactions => "Idempotence and transactions",
            Self::Connection => "Connections and metadata",
            Self::Observability => "Metrics",
            Self::Tls => "TLS",
            Self::Sasl => "SASL",
        }
    }
}

/// All keys, in the order of their groups.
pub(crate) fn keys() -> impl Iterator<Item = &'static ConfigKey> + Clone {
    [
        general::KEYS,
        batching::KEYS,
        delivery::KEYS,
        transactions::KEYS,
        connection::KEYS,
        observability::KEYS,
        tls::KEYS,
        sasl::KEYS,
    ]
    .into_iter()
    .flatten()
}

/// The row of one key; `None` if there is no such key.
pub(crate) fn key(name: &str) -> Option<&'static ConfigKey> {
    keys().find(|key| key.name == name)
}

#[cfg(test)]
mod tests;
