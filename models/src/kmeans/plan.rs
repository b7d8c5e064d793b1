//! What k-means will do with rows of one schema: parameters and columns, checked before anything runs.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use cordada_core::{Error, Result};
use cordada_lake::estimator::Parameters;

use super::segments::{Number, Settings};
use crate::features::{find_column, find_feature};
use crate::parameters::ParameterReader;

const PARAMETERS: [&str; 7] = ["features", "key", "k", "max_k", "log", "seed", "max_iter"];
const DEFAULT_MAX_K: usize = 8;
const DEFAULT_MAX_ITER: usize = 100;
const DEFAULT_SEED: u64 = 42;

/// Checked parameters against the columns that exist.
#[derive(Debug)]
pub(super) struct Plan {
    /// Positions of the features.
    pub features: Vec<usize>,
    /// Positions of the columns that pass through.
    pub passed: Vec<usize>,
    /// How to fit.
    pub settings: Settings,
    /// What comes out.
    pub schema: SchemaRef,
}

impl Plan {
    pub(super) fn new(input: &Schema, parameters: &Parameters) -> Result<Self> {
        let reader = ParameterReader::new(super::NAME, &PARAMETERS, parameters)?;
        let key = match reader.columns("key")? {
            Some(names) => Some(positions(&names, |name| find_column(input, "key", name))?),
            None => None,
        };
        let features = match reader.columns("features")? {
            Some(names) => positions(&names, |name| find_feature(input, "features", name))?,
            None => default_features(input, key.as_deref()),
        };
        if features.is_empty() {
            return Err(reader.wrong("features", "there is no numeric column to compare rows by"));
        }
        let logarithms = match reader.columns("log")? {
            Some(names) => positions(&names, |name| find_feature(input, "log", name))?,
            None => Vec::new(),
        };
        if let Some(&stray) = logarithms.iter().find(|at| !features.contains(at)) {
            return Err(reader.wrong(
                "log",
                format!("`{}` is not one of the features", input.field(stray).name()),
            ));
        }
        let settings = Settings {
            log: features.iter().map(|at| logarithms.contains(at)).collect(),
            number: number(&reader)?,
            seed: reader.get("seed")?.unwrap_or(DEFAULT_SEED),
            max_iter: reader.at_least("max_iter", 1)?.unwrap_or(DEFAULT_MAX_ITER),
        };
        let passed = key.unwrap_or_else(|| (0..input.fields().len()).filter(|at| !features.contains(at)).collect());
        let schema = output_schema(input, &passed, &features)?;
        Ok(Self {
            features,
            passed,
            settings,
            schema,
        })
    }
}

/// Positions of named columns, none of them twice.
fn positions(names: &[String], find: impl Fn(&str) -> Result<usize>) -> Result<Vec<usize>> {
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let at = find(name)?;
        if !found.contains(&at) {
            found.push(at);
        }
    }
    Ok(found)
}

/// All numeric columns but the key and what looks like one: an identifier is a name, not a quantity.
fn default_features(input: &Schema, key: Option<&[usize]>) -> Vec<usize> {
    let looks_like_a_key = |name: &str| name == "id" || name.ends_with("_id");
    let is_feature = |at: &usize| {
        let field = input.field(*at);
        field.data_type().is_numeric() && !key.is_some_and(|key| key.contains(at)) && !looks_like_a_key(field.name())
    };
    (0..input.fields().len()).filter(is_feature).collect()
}

fn number(reader: &ParameterReader) -> Result<Number> {
    match (reader.at_least("k", 2)?, reader.at_least("max_k", 2)?) {
        (Some(_), Some(_)) => Err(reader.wrong("max_k", "`k` already says how many clusters there are")),
        (Some(k), None) => Ok(Number::Given(k)),
        (None, max_k) => Ok(Number::UpTo(max_k.unwrap_or(DEFAULT_MAX_K))),
    }
}

fn output_schema(input: &Schema, passed: &[usize], features: &[usize]) -> Result<SchemaRef> {
    let mut fields: Vec<FieldRef> = passed.iter().map(|&at| Arc::clone(&input.fields()[at])).collect();
    let mut own = vec![
        Field::new("cluster", DataType::Int32, true),
        Field::new("distance", DataType::Float64, true),
    ];
    own.extend(
        features
            .iter()
            .map(|&at| Field::new(format!("centroid_{}", input.field(at).name()), DataType::Float64, true)),
    );
    for field in own {
        if fields.iter().any(|passed| passed.name() == field.name()) {
            let why = format!(
                "the column `{}` would pass through, and the estimator writes one of that name",
                field.name()
            );
            return Err(Error::config("planning the columns of the estimator `kmeans`", why)
                .hint("rename it in the SELECT, or name the columns to pass through in `key`"));
        }
        fields.push(Arc::new(field));
    }
    Ok(Arc::new(Schema::new(fields)))
}
