//! What becomes of personal columns before anything of them is written: dropped, hashed or turned into tokens.

mod json;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StringArray, StructArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cordada_core::names::snake_case;
use cordada_core::source_names::SourceNames;
use cordada_core::{Context, Error, Result, hex};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::{hkdf, hmac};
use sha2::{Digest, Sha256};

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

/// What becomes of a column, or of those within it.
#[derive(Debug, Clone, Default)]
struct Node {
    transform: Option<(Transform, Normal)>,
    /// By their names in the lake.
    within: BTreeMap<String, Node>,
    /// By what exactly the source calls them.
    exactly: BTreeMap<String, Node>,
}

impl Node {
    /// What becomes of what the source calls so.
    fn child(&self, source: &str) -> Option<&Node> {
        let exactly = self.exactly.get(source);
        exactly.or_else(|| self.within.get(&snake_case(source)))
    }

    /// The same for columns of those `names`.
    fn named(&self, names: &SourceNames) -> Node {
        let mut named = self.clone();
        for (source, lake) in names.columns() {
            if let Some(child) = self.within.get(lake).or_else(|| self.child(source)) {
                let child = match names.fields(lake) {
                    Some(fields) => child.named(fields),
                    None => child.clone(),
                };
                named.exactly.insert(source.to_owned(), child.clone());
                named.within.insert(lake.to_owned(), child);
            }
        }
        named
    }
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
                root.exactly.entry(source.clone()).or_default().transform = transform;
            }
            if column.from.is_none() {
                let mut node = &mut root;
                for part in name.split('.') {
                    node = node.within.entry(snake_case(part)).or_default();
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
        self.root.within.is_empty() && self.root.exactly.is_empty()
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
        self.root.within.contains_key(column)
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
            let Some(node) = self.root.within.get(field.name()) else {
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
        let columns = schema.fields().iter().map(|field| {
            let missing = || Error::failed("transforming a column", "it is not there");
            let column = batch.column_by_name(field.name()).ok_or_else(missing)?;
            match self.root.within.get(field.name()) {
                Some(node) => self.array(node, column),
                None => Ok(column.clone()),
            }
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
                DataType::Struct(_) => json_text(array)?,
                _ => cast_with_options(array, &DataType::Utf8, &strict).doing(doing)?,
            };
            let values = text.as_string::<i32>().iter().map(|value| {
                let value = value.map(|value| self.text(transform, normal, value));
                value.transpose()
            });
            return Ok(Arc::new(values.collect::<Result<StringArray>>()?));
        }
        let DataType::Struct(fields) = array.data_type() else {
            return match array.as_string_opt::<i32>() {
                Some(texts) => self.texts(node, texts),
                None => Ok(array.clone()),
            };
        };
        let record = array.as_struct();
        let (mut kept, mut columns) = (Vec::new(), Vec::new());
        for (field, column) in fields.iter().zip(record.columns()) {
            let column = match node.within.get(field.name()) {
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

    /// Texts in a column within which something is hidden: what was an object or a list became its JSON beside others.
    /// One that cannot be looked into is hidden as a whole.
    fn texts(&self, node: &Node, texts: &StringArray) -> Result<ArrayRef> {
        let hidden = |text: &str| -> Result<String> {
            let json = text.trim_ascii_start();
            if !json.starts_with(['{', '[']) {
                return Ok(text.to_owned());
            }
            let mut out = Vec::with_capacity(text.len());
            match self.json_within(node, json.trim_ascii_end().as_bytes(), 0, &mut out)? {
                true => String::from_utf8(out).map_err(|error| Error::failed("transforming a column", error)),
                false => Ok(self.pseudonym(text)),
            }
        };
        let values = texts.iter().map(|text| text.map(hidden).transpose());
        Ok(Arc::new(values.collect::<Result<StringArray>>()?))
    }
}

fn json_text(array: &ArrayRef) -> Result<ArrayRef> {
    let doing = || "transforming a column";
    let format = arrow::util::display::FormatOptions::default();
    let formatter = arrow::util::display::ArrayFormatter::try_new(array, &format).doing(doing)?;
    let nulls = array.logical_nulls();
    let is_there = |row: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
    let values = (0..array.len()).map(|row| is_there(row).then(|| formatter.value(row).to_string()));
    Ok(Arc::new(values.collect::<StringArray>()))
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
                    let data_type = match node.within.get(field.name()) {
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
        other => other.clone(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::array::Int64Array;

    use super::*;
    use crate::options::ColumnOptions;

    pub(super) fn key() -> PiiKey {
        PiiKey::new("correct horse battery staple").unwrap()
    }

    pub(super) fn transforms(columns: &[(&str, Transform, Option<&str>)]) -> Transforms {
        let column = |(name, transform, pii): &(&str, Transform, Option<&str>)| {
            let options = ColumnOptions {
                transform: Some(*transform),
                pii: pii.map(str::to_owned),
                ..ColumnOptions::default()
            };
            ((*name).to_owned(), options)
        };
        let options = Options {
            columns: columns.iter().map(column).collect(),
            ..Options::default()
        };
        Transforms::new(&options, Some(&key())).unwrap()
    }

    #[test]
    fn hashes_are_stable_keyed_and_of_one_form() {
        assert_eq!(key().hash("a").len(), 64);
        assert_eq!(key().hash("a"), key().hash("a"));
        assert_ne!(
            key().hash("a"),
            PiiKey::new("another secret altogether").unwrap().hash("a")
        );
        let emails = transforms(&[("email", Transform::Hash, Some("email"))]);
        let one = emails.apply_json(br#"{"email":" Ana@Example.ORG"}"#).unwrap();
        let other = emails.apply_json(br#"{"email":"ana@example.org"}"#).unwrap();
        assert_eq!(one, other);
    }

    #[test]
    fn tokens_come_back_with_the_key_alone() {
        for value in ["", "Begoña", "600 123 123"] {
            let token = key().token(value).unwrap();
            assert_eq!(token, key().token(value).unwrap());
            assert_eq!(key().reveal(&token).unwrap(), value);
            let stranger = PiiKey::new("another secret altogether").unwrap();
            assert!(stranger.reveal(&token).is_err());
        }
        for wrong in ["tok_", "tok_AAAA", "abc", "tok_!!!"] {
            assert!(key().reveal(wrong).is_err());
        }
        assert!(PiiKey::new("short").is_err());
    }

    #[test]
    fn json_and_columns_become_the_same() {
        let transforms = transforms(&[
            ("phone", Transform::Hash, None),
            ("customer.email", Transform::Drop, None),
            ("customer.tags", Transform::Hash, None),
        ]);
        let json = transforms
            .apply_json(br#"{"phone": 600, "id": 1, "customer": {"email": "x", "tags": ["a", null], "name": "n"}}"#);
        let json: serde_json::Value = serde_json::from_slice(&json.unwrap().unwrap()).unwrap();
        assert_eq!(json["customer"].get("email"), None);
        assert_eq!(json["customer"]["name"], "n");

        let tags = ListArray::from_iter_primitive::<arrow::datatypes::Int32Type, _, _>([Some(vec![Some(1), None])]);
        let customer = StructArray::from(vec![
            (
                Arc::new(Field::new("email", DataType::Utf8, true)),
                Arc::new(StringArray::from(vec!["x"])) as ArrayRef,
            ),
            (
                Arc::new(Field::new("tags", tags.data_type().clone(), true)),
                Arc::new(tags) as ArrayRef,
            ),
        ]);
        let batch = RecordBatch::try_from_iter([
            ("phone", Arc::new(Int64Array::from(vec![600])) as ArrayRef),
            ("customer", Arc::new(customer) as ArrayRef),
        ])
        .unwrap();
        let batch = transforms.apply(&batch).unwrap();
        assert_eq!(batch.schema(), transforms.schema(&batch.schema()));
        assert_eq!(batch.column(0).as_string::<i32>().value(0), json["phone"]);
        let customer = batch.column(1).as_struct();
        assert_eq!(customer.column_names(), ["tags"]);
        let tags: &ListArray = customer.column(0).as_list();
        assert_eq!(tags.values().as_string::<i32>().value(0), key().hash("1"));
        assert!(tags.values().is_null(1));
    }

    #[test]
    fn a_hash_needs_a_key() {
        let options = Options {
            columns: [(
                "email".to_owned(),
                ColumnOptions {
                    transform: Some(Transform::Hash),
                    ..ColumnOptions::default()
                },
            )]
            .into(),
            ..Options::default()
        };
        let error = Transforms::new(&options, None).unwrap_err();
        assert!(error.to_string().contains("pii_key"), "{error}");
    }
}
