//! JSON values, and typed access to their fields by name.

use std::sync::Arc;

use bytes::Bytes;

use crate::error::ErrorCode;

/// A JSON value, with integers only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonValue {
    Null,
    Bool(bool),
    Number(i64),
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

static NULL: JsonValue = JsonValue::Null;

/// The error names the field.
pub(super) type FieldResult<T> = Result<T, String>;

impl JsonValue {
    /// The same value, with null for each empty error message: such a message is decoded as none.
    pub(super) fn without_empty_error_messages(&self) -> Self {
        let field = |(name, value): &(String, Self)| {
            let is_empty =
                name == "errorMessage" && matches!(value, Self::Text(text) if text.is_empty());
            let value = if is_empty {
                Self::Null
            } else {
                value.without_empty_error_messages()
            };
            (name.clone(), value)
        };
        match self {
            Self::List(elements) => {
                let elements = elements.iter();
                Self::List(elements.map(Self::without_empty_error_messages).collect())
            }
            Self::Map(fields) => Self::Map(fields.iter().map(field).collect()),
            other => other.clone(),
        }
    }

    pub(super) fn get(&self, name: &str) -> FieldResult<&Self> {
        self.find(name)
            .ok_or_else(|| format!("there is no field {name} in {self:?}"))
    }

    /// The field; `None` if the version does not have it.
    pub(super) fn find(&self, name: &str) -> Option<&Self> {
        let Self::Map(fields) = self else { return None };
        let found = fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value)
    }

    pub(super) fn number<N: TryFrom<i64>>(&self, name: &str) -> FieldResult<N> {
        let value = self.get(name)?;
        value
            .as_number()
            .ok_or_else(|| format!("{name} is no such number: {value:?}"))
    }

    /// The number; `absent` if the version does not have the field.
    pub(super) fn number_or<N: TryFrom<i64>>(&self, name: &str, absent: N) -> FieldResult<N> {
        self.find(name).map_or(Ok(absent), |_| self.number(name))
    }

    fn as_number<N: TryFrom<i64>>(&self) -> Option<N> {
        let Self::Number(number) = self else {
            return None;
        };
        N::try_from(*number).ok()
    }

    pub(super) fn bool(&self, name: &str) -> FieldResult<bool> {
        self.get(name)?;
        self.bool_or(name, false)
    }

    pub(super) fn bool_or(&self, name: &str, absent: bool) -> FieldResult<bool> {
        match self.find(name) {
            None => Ok(absent),
            Some(Self::Bool(yes)) => Ok(*yes),
            Some(other) => Err(format!("{name} is neither true nor false: {other:?}")),
        }
    }

    pub(super) fn error(&self, name: &str) -> FieldResult<ErrorCode> {
        self.number(name).map(ErrorCode::from_code)
    }

    pub(super) fn text(&self, name: &str) -> FieldResult<Arc<str>> {
        self.get(name)?;
        self.optional_text(name)?
            .ok_or_else(|| format!("{name} is null"))
    }

    /// The text; `None` if it is null, or the version does not have the field.
    pub(super) fn optional_text(&self, name: &str) -> FieldResult<Option<Arc<str>>> {
        match self.find(name).unwrap_or(&NULL) {
            Self::Null => Ok(None),
            Self::Text(text) => Ok(Some(text.as_str().into())),
            other => Err(format!("{name} is no text: {other:?}")),
        }
    }

    pub(super) fn texts(&self, name: &str) -> FieldResult<Vec<Arc<str>>> {
        self.list(name, |value| match value {
            Self::Text(text) => Ok(text.as_str().into()),
            other => Err(format!("{name} has what is no text: {other:?}")),
        })
    }

    /// Decodes hexadecimal digits.
    pub(super) fn bytes(&self, name: &str) -> FieldResult<Bytes> {
        self.optional_bytes(name)?
            .ok_or_else(|| format!("{name} is null or missing"))
    }

    /// Decodes hexadecimal digits; `None` for null.
    pub(super) fn optional_bytes(&self, name: &str) -> FieldResult<Option<Bytes>> {
        let Some(digits) = self.optional_text(name)? else {
            return Ok(None);
        };
        let byte = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
        bytes
            .map(|bytes| Some(bytes.into()))
            .ok_or_else(|| format!("{name} is not in hexadecimal digits: {digits}"))
    }

    /// The list; `None` if it is null, or the version does not have the field.
    pub(super) fn optional_list<T>(
        &self,
        name: &str,
        element: impl FnMut(&Self) -> FieldResult<T>,
    ) -> FieldResult<Option<Vec<T>>> {
        match self.find(name).unwrap_or(&NULL) {
            Self::Null => Ok(None),
            Self::List(elements) => elements
                .iter()
                .map(element)
                .collect::<FieldResult<_>>()
                .map(Some),
            other => Err(format!("{name} is no list: {other:?}")),
        }
    }

    /// The list; empty if the version does not have the field.
    pub(super) fn list<T>(
        &self,
        name: &str,
        element: impl FnMut(&Self) -> FieldResult<T>,
    ) -> FieldResult<Vec<T>> {
        self.optional_list(name, element)
            .map(Option::unwrap_or_default)
    }

    pub(super) fn numbers(&self, name: &str) -> FieldResult<Vec<i32>> {
        self.list(name, |value| {
            value
                .as_number()
                .ok_or_else(|| format!("{name} has no such number: {value:?}"))
        })
    }
}
