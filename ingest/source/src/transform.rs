//! What becomes of personal columns before anything of them is written: dropped, hashed or turned into tokens.

mod json;
mod node;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, MapArray, StringArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{CastOptions, cast_with_options, filter};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cordada_core::source_names::SourceNames;
use cordada_core::spelling::{self, Spelling};
use cordada_core::{Context, Error, Result, hex};
use cordada_ingest_formats::record;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::{hkdf, hmac};
use sha2::{Digest, Sha256};

use self::node::Node;
use crate::options::{Options, Transform};

/// The shortest secret that is taken.
const SHORTEST: usize = 16;

/// What a token begins with.
const TOKEN: &str = "tok_";

/// The project's key for personal data: hashes and tokens of one project mean nothing to another.
#[derive(Clone)]
pub struct PiiKey {
    hash: hmac::Key,
    nonce: hmac::Key,
    cipher: Arc<LessSafeKey>,
}

impl std::fmt::Debug for PiiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PiiKey")
    }
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl PiiKey {
    /// The key that a secret stands for.
    ///
    /// # Errors
    /// Config for one that is too short.
    pub fn new(secret: &str) -> Result<Self> {
        let doing = "reading the key for personal data";
        if secret.len() < SHORTEST {
            return Err(Error::config(doing, format!("it has fewer than {SHORTEST} characters"))
                .hint("make one with `openssl rand -base64 32`, and keep it: other keys give other hashes"));
        }
        let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, b"cordada personal data").extract(secret.as_bytes());
        let derive = |purpose: &[u8]| -> Result<[u8; 32]> {
            let mut key = [0; 32];
            let info = [purpose];
            let okm = derived.expand(&info, Length(key.len()));
            let filled = okm.and_then(|okm| okm.fill(&mut key));
            filled.map_err(|_| Error::failed(doing, "it cannot be derived"))?;
            Ok(key)
        };
        let cipher = UnboundKey::new(&AES_256_GCM, &derive(b"token")?);
        Ok(Self {
            hash: hmac::Key::new(hmac::HMAC_SHA256, &derive(b"hash")?),
            nonce: hmac::Key::new(hmac::HMAC_SHA256, &derive(b"nonce")?),
            cipher: Arc::new(LessSafeKey::new(
                cipher.map_err(|_| Error::failed(doing, "it cannot be used"))?,
            )),
        })
    }

    /// A hash of the value: HMAC-SHA-256, as 64 hexadecimal digits.
    fn hash(&self, value: &str) -> String {
        hex::encode(hmac::sign(&self.hash, value.as_bytes()).as_ref())
    }

    /// A token for the value: encrypted with AES-256-GCM under a nonce that is derived from the value, so that equal
    /// values have equal tokens (a synthetic IV, as in RFC 8452).
    fn token(&self, value: &str) -> Result<String> {
        let doing = || "making a token";
        let tag = hmac::sign(&self.nonce, value.as_bytes());
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&tag.as_ref()[..NONCE_LEN]);
        let mut sealed = value.as_bytes().to_vec();
        self.cipher
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
            .map_err(|_| Error::failed(doing(), "encryption failed"))?;
        Ok(format!(
            "{TOKEN}{}",
            URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat())
        ))
    }

    /// The value that a token stands for.
    ///
    /// # Errors
    /// Failed for what is not a token, or one of another key.
    pub fn reveal(&self, token: &str) -> Result<String> {
        let wrong = || {
            Error::failed("revealing a token", "it is none that this key made").hint("check `pii_key:` in cordada.yml")
        };
        let encoded = token.strip_prefix(TOKEN).ok_or_else(wrong)?;
        let mut bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| wrong())?;
        let (nonce, sealed) = bytes.split_first_chunk_mut::<NONCE_LEN>().ok_or_else(wrong)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let value = self
            .cipher
            .open_in_place(nonce, Aad::empty(), sealed)
            .map_err(|_| wrong())?;
        String::from_utf8(value.to_vec()).map_err(|_| wrong())
    }
}

/// What becomes of the columns of one stream.
#[derive(Debug, Default)]
pub struct Transforms {
    key: Option<PiiKey>,
    root: Node,
}

/// How values are brought into one form first, so that one person has one hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Normal {
    AsIs,
    /// Trimmed and in lower case: addresses of e-mail.
    LowerCase,
}

impl Normal {
    fn apply(self, value: &str) -> std::borrow::Cow<'_, str> {
        match self {
            Normal::AsIs => value.into(),
            Normal::LowerCase => value.trim().to_lowercase().into(),
        }
    }
}

impl Transforms {
    /// Those of a stream.
    ///
    /// # Errors
    /// Config for a hash or a token without a key.
    pub fn new(options: &Options, key: Option<&PiiKey>) -> Result<Self> {
        let mut root = Node::default();
        for (name, column) in &options.columns {
            let Some(transform) = column.transform else {
                continue;
            };
            if transform != Transform::Drop && key.is_none() {
                let why = format!("the column `{name}` is to be turned into a hash or a token, and there is no key");
                return Err(Error::config("preparing the transforms", why)
                    .hint("set `pii_key: ${CORDADA_PII_KEY}` in cordada.yml; `openssl rand -base64 32` makes one"));
            }
            let normal = match column.pii.as_deref() {
                Some("email") => Normal::LowerCase,
                _ => Normal::AsIs,
            };
            let transform = Some((transform, normal));
            if let Some(source) = column.from.as_ref().or(name.contains('.').then_some(name)) {
                let node = root.exactly.entry(source.clone()).or_default();
                node.get_or_insert_default().transform = transform;
            }
            if column.from.is_none() {
                let mut node = &mut root;
                for part in name.split('.') {
                    node = node.written.entry(part.to_owned()).or_default();
                }
                node.transform = transform;
            }
        }
        Ok(Self {
            key: key.cloned(),
            root,
        })
    }

    /// Whether nothing becomes of anything.
    pub fn is_empty(&self) -> bool {
        self.root.is_empty()
    }

    /// The same for columns that have those `names` in the lake.
    #[must_use]
    pub fn named(&self, names: &SourceNames) -> Self {
        Self {
            key: self.key.clone(),
            root: self.root.named(names),
        }
    }

    /// A name for what the text says, that tells nobody what that was: keyed if the project has a key.
    pub fn pseudonym(&self, text: &str) -> String {
        match &self.key {
            Some(key) => key.hash(text),
            None => hex::encode(&Sha256::digest(text)),
        }
    }

    /// Whether something becomes of a column, by its name in the lake, or of what is within it.
    pub fn touches(&self, column: &str) -> bool {
        self.root.of_column(column).is_some()
    }

    fn text(&self, transform: Transform, normal: Normal, value: &str) -> Result<String> {
        let missing = || Error::failed("transforming a column", "there is no key");
        let key = self.key.as_ref().ok_or_else(missing)?;
        let value = normal.apply(value);
        match transform {
            Transform::Tokenise => key.token(&value),
            Transform::Hash | Transform::Drop => Ok(key.hash(&value)),
        }
    }

    /// The columns, by their names in the lake, that [`Transforms::apply`] makes of `schema`.
    pub fn schema(&self, schema: &Schema) -> SchemaRef {
        let fields = schema.fields().iter().filter_map(|field| {
            let Some(node) = self.root.of_column(field.name()) else {
                return Some(field.as_ref().clone());
            };
            let data_type = transformed_type(node, field.data_type())?;
            Some(field.as_ref().clone().with_data_type(data_type))
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// The batch without what is not to be written.
    ///
    /// # Errors
    /// A type that has no text.
    pub fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let schema = self.schema(&batch.schema());
        let there = batch.schema_ref().fields().iter().zip(batch.columns());
        let columns = there.filter_map(|(field, column)| match self.root.of_column(field.name()) {
            None => Some(Ok(column.clone())),
            Some(node) => transformed_type(node, field.data_type()).map(|_| self.array(node, column)),
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(schema, columns, &options).doing(|| "transforming columns")
    }

    fn array(&self, node: &Node, array: &ArrayRef) -> Result<ArrayRef> {
        let doing = || "transforming a column";
        if let DataType::List(item) = array.data_type() {
            let list: &ListArray = array.as_list();
            let values = self.array(node, list.values())?;
            let item = item.as_ref().clone().with_data_type(values.data_type().clone());
            let list = ListArray::try_new(Arc::new(item), list.offsets().clone(), values, list.nulls().cloned());
            return Ok(Arc::new(list.doing(doing)?));
        }
        if let Some((transform, normal)) = node.transform {
            let strict = CastOptions {
                safe: false,
                ..CastOptions::default()
            };
            let text = match array.data_type() {
                DataType::Struct(_) | DataType::Map(..) => json_text(array)?,
                _ => cast_with_options(array, &DataType::Utf8, &strict).doing(doing)?,
            };
            let values = text.as_string::<i32>().iter().map(|value| {
                let value = value.map(|value| self.text(transform, normal, value));
                value.transpose()
            });
            return Ok(Arc::new(values.collect::<Result<StringArray>>()?));
        }
        let fields = match array.data_type() {
            DataType::Struct(fields) => fields,
            DataType::Map(entries, _) => return self.map(node, array.as_map(), entries),
            DataType::Null => return Ok(array.clone()),
            _ => return self.texts(node, &spelling::text(array, &Spelling::Canonical)?),
        };
        let record = array.as_struct();
        let (mut kept, mut columns) = (Vec::new(), Vec::new());
        for (field, column) in fields.iter().zip(record.columns()) {
            let column = match node.of_column(field.name()) {
                Some(child) if transformed_type(child, field.data_type()).is_none() => continue,
                Some(child) => self.array(child, column)?,
                None => column.clone(),
            };
            kept.push(field.as_ref().clone().with_data_type(column.data_type().clone()));
            columns.push(column);
        }
        let record = StructArray::try_new_with_length(kept.into(), columns, record.nulls().cloned(), record.len());
        Ok(Arc::new(record.doing(doing)?))
    }

    /// A map is a record whose fields are told by its keys: its values become text, for those that are hidden do.
    fn map(&self, node: &Node, map: &MapArray, entries: &FieldRef) -> Result<ArrayRef> {
        let doing = || "transforming a column";
        let keys = spelling::text(map.keys(), &Spelling::Canonical)?;
        let values = spelling::text(map.values(), &Spelling::Canonical)?;
        let mut hidden = Vec::with_capacity(values.len());
        let mut stays = Vec::with_capacity(values.len());
        for (key, value) in keys.iter().zip(values.iter()) {
            let child = node.child(key.unwrap_or_default());
            stays.push(!child.is_some_and(|child| matches!(child.transform, Some((Transform::Drop, _)))));
            hidden.push(match (child, value) {
                (Some(child), Some(value)) => match child.transform {
                    Some((transform, normal)) => Some(self.text(transform, normal, value)?),
                    None => Some(self.within_text(child, value)?),
                },
                (_, value) => value.map(str::to_owned),
            });
        }
        let stays = BooleanArray::from(stays);
        let lengths = map.offsets().windows(2).map(|row| {
            let (start, end) = (row[0] as usize, row[1] as usize);
            stays.slice(start, end - start).true_count()
        });
        let lengths: Vec<_> = lengths.collect();
        let (first, last) = (map.offsets()[0] as usize, map.offsets()[map.len()] as usize);
        let within = stays.slice(first, last - first);
        let kept = |values: ArrayRef| filter(&values.slice(first, last - first), &within).doing(doing);
        let values = kept(Arc::new(StringArray::from(hidden)))?;
        let entries = text_entries(entries);
        let DataType::Struct(fields) = entries.data_type() else {
            return Err(Error::failed(doing(), "a map without keys and values"));
        };
        let pairs = StructArray::try_new(fields.clone(), vec![kept(map.keys().clone())?, values], None);
        let offsets = OffsetBuffer::from_lengths(lengths);
        let map = MapArray::try_new(entries, offsets, pairs.doing(doing)?, map.nulls().cloned(), false);
        Ok(Arc::new(map.doing(doing)?))
    }

    /// Values in a column within which something is hidden: what was an object or a list became its JSON beside others.
    fn texts(&self, node: &Node, texts: &StringArray) -> Result<ArrayRef> {
        let values = texts
            .iter()
            .map(|text| text.map(|text| self.within_text(node, text)).transpose());
        Ok(Arc::new(values.collect::<Result<StringArray>>()?))
    }

    /// A text within which something is hidden: all of it, if it cannot be looked into, or is there in the place of an
    /// object, as what was to be hidden may be.
    fn within_text(&self, node: &Node, text: &str) -> Result<String> {
        let json = text.trim_ascii_start();
        if !json.starts_with(['{', '[']) {
            return Ok(self.pseudonym(text));
        }
        let mut out = Vec::with_capacity(text.len());
        match self.json_within(node, json.trim_ascii_end().as_bytes(), 0, &mut out)? {
            true => String::from_utf8(out).map_err(|error| Error::failed("transforming a column", error)),
            false => Ok(self.pseudonym(text)),
        }
    }
}

fn json_text(array: &ArrayRef) -> Result<ArrayRef> {
    let rows: Vec<_> = (0..array.len()).collect();
    Ok(Arc::new(StringArray::from(record::values(array, &rows)?)))
}

/// The entries of a map whose values become text.
fn text_entries(entries: &FieldRef) -> FieldRef {
    let DataType::Struct(fields) = entries.data_type() else {
        return entries.clone();
    };
    let fields = fields.iter().enumerate().map(|(at, field)| match at {
        1 => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8)),
        _ => field.clone(),
    });
    let fields = DataType::Struct(fields.collect());
    Arc::new(entries.as_ref().clone().with_data_type(fields))
}

/// The type that [`Transforms::array`] makes of a column; `None` if the column goes.
fn transformed_type(node: &Node, data_type: &DataType) -> Option<DataType> {
    if matches!(node.transform, Some((Transform::Drop, _))) {
        return None;
    }
    Some(match data_type {
        DataType::List(item) => {
            let within = transformed_type(node, item.data_type())?;
            DataType::List(Arc::new(item.as_ref().clone().with_data_type(within)))
        }
        _ if node.transform.is_some() => DataType::Utf8,
        DataType::Struct(fields) => {
            let kept: Fields = fields
                .iter()
                .filter_map(|field| -> Option<Field> {
                    let data_type = match node.of_column(field.name()) {
                        Some(child) => transformed_type(child, field.data_type())?,
                        None => field.data_type().clone(),
                    };
                    Some(field.as_ref().clone().with_data_type(data_type))
                })
                .collect();
            // Of an object nothing is left without its fields: tables have no records without any.
            if kept.is_empty() {
                return None;
            }
            DataType::Struct(kept)
        }
        DataType::Map(entries, _) => DataType::Map(text_entries(entries), false),
        DataType::Null => DataType::Null,
        // What is there in the place of a record is hidden.
        _ => DataType::Utf8,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
