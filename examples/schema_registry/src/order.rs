//! The value that the example sends, with its Avro schema.

// The page on schema registries in `docs/guide` quotes the code from here on, up to the end of the file.
use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use kafka_producer::BoxError;
use serde::{Deserialize, Serialize};

pub const ORDER_SCHEMA: &str = r#"{
    "type": "record",
    "name": "Order",
    "fields": [
        { "name": "customer", "type": "long" },
        { "name": "articles", "type": { "type": "array", "items": "string" } }
    ]
}"#;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub customer: i64,
    pub articles: Vec<String>,
}

/// Returns a function that encodes orders in Avro, without the header of Avro's files.
pub fn avro_encoder() -> Result<impl Fn(&Order) -> Result<Vec<u8>, BoxError>, BoxError> {
    let schema = Schema::parse_str(ORDER_SCHEMA)?;
    Ok(move |order: &Order| {
        let writer = GenericDatumWriter::builder(&schema).build()?;
        Ok(writer.write_ser_to_vec(order)?)
    })
}

/// Decodes the part of a record's value that follows the schema id. `schema` is the registry's schema of that id.
pub fn decode(schema: &str, mut bytes: &[u8]) -> Result<Order, BoxError> {
    let schema = Schema::parse_str(schema)?;
    let reader = GenericDatumReader::builder(&schema).build()?;
    Ok(reader.read_deser(&mut bytes)?)
}
