//! Fields of messages and records by name, as JSON has them.

use std::sync::Arc;

use bytes::Bytes;

use crate::error::ErrorCode;

/// What JSON can say, with whole numbers only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Null,
    Bool(bool),
    Number(i64),
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

static NULL: Value = Value::Null;

/// Reading fails in words that name the field.
pub(super) type Read<T> = Result<T, String>;

impl Value {
    pub(super) fn get(&self, name: &str) -> Read<&Self> {
        self.find(name)
            .ok_or_else(|| format!("there is no field {name} in {self:?}"))
    }

    /// Whether the version has the field at all.
    pub(super) fn find(&self, name: &str) -> Option<&Self> {
        let Self::Map(fields) = self else { return None };
        let found = fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value)
    }

    pub(super) fn number<N: TryFrom<i64>>(&self, name: &str) -> Read<N> {
        let value = self.get(name)?;
        value
            .as_number()
            .ok_or_else(|| format!("{name} is no such number: {value:?}"))
    }

    /// The number, or what is read where the version has no such field.
    pub(super) fn number_or<N: TryFrom<i64>>(&self, name: &str, absent: N) -> Read<N> {
        self.find(name).map_or(Ok(absent), |_| self.number(name))
    }

    fn as_number<N: TryFrom<i64>>(&self) -> Option<N> {
        let Self::Number(number) = self else {
            return None;
        };
        N::try_from(*number).ok()
    }

    pub(super) fn bool(&self, name: &str) -> Read<bool> {
        self.get(name)?;
        self.bool_or(name, false)
    }

    pub(super) fn bool_or(&self, name: &str, absent: bool) -> Read<bool> {
        match self.find(name) {
            None => Ok(absent),
            Some(Self::Bool(yes)) => Ok(*yes),
            Some(other) => Err(format!("{name} is neither true nor false: {other:?}")),
        }
    }

    pub(super) fn error(&self, name: &str) -> Read<ErrorCode> {
        self.number(name).map(ErrorCode::from_code)
    }

    pub(super) fn text(&self, name: &str) -> Read<Arc<str>> {
        self.get(name)?;
        self.optional_text(name)?
            .ok_or_else(|| format!("{name} is null"))
    }

    /// The text; `None` if it is null, or the version has no such field.
    pub(super) fn optional_text(&self, name: &str) -> Read<Option<Arc<str>>> {
        match self.find(name).unwrap_or(&NULL) {
            Self::Null => Ok(None),
            Self::Text(text) => Ok(Some(text.as_str().into())),
            other => Err(format!("{name} is no text: {other:?}")),
        }
    }

    pub(super) fn texts(&self, name: &str) -> Read<Vec<Arc<str>>> {
        self.list(name, |value| match value {
            Self::Text(text) => Ok(text.as_str().into()),
            other => Err(format!("{name} has what is no text: {other:?}")),
        })
    }

    /// Bytes from hexadecimal digits.
    pub(super) fn bytes(&self, name: &str) -> Read<Bytes> {
        self.optional_bytes(name)?
            .ok_or_else(|| format!("{name} is null or missing"))
    }

    /// Bytes from hexadecimal digits; `None` if they are null.
    pub(super) fn optional_bytes(&self, name: &str) -> Read<Option<Bytes>> {
        let Some(digits) = self.optional_text(name)? else {
            return Ok(None);
        };
        let byte = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
        bytes
            .map(|bytes| Some(bytes.into()))
            .ok_or_else(|| format!("{name} is not in hexadecimal digits: {digits}"))
    }

    /// The list; `None` if it is null, or the version has no such field.
    pub(super) fn optional_list<T>(
        &self,
        name: &str,
        element: impl FnMut(&Self) -> Read<T>,
    ) -> Read<Option<Vec<T>>> {
        match self.find(name).unwrap_or(&NULL) {
            Self::Null => Ok(None),
            Self::List(elements) => elements.iter().map(element).collect::<Read<_>>().map(Some),
            other => Err(format!("{name} is no list: {other:?}")),
        }
    }

    /// The list; empty where the version has no such field.
    pub(super) fn list<T>(
        &self,
        name: &str,
        element: impl FnMut(&Self) -> Read<T>,
    ) -> Read<Vec<T>> {
        self.optional_list(name, element)
            .map(Option::unwrap_or_default)
    }

    pub(super) fn numbers(&self, name: &str) -> Read<Vec<i32>> {
        self.list(name, |value| {
            value
                .as_number()
                .ok_or_else(|| format!("{name} has no such number: {value:?}"))
        })
    }
}
