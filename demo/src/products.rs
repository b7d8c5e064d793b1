//! The product list, as the buyers' system exports it: Parquet with decimals.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Decimal128Array, Int32Array, RecordBatch, StringArray};
use cordada_core::{Context, Result};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::catalogue::Product;
use super::erp::check_digit;
use super::world::World;

/// Writes all products; the rows that were written.
pub fn write_products(world: &World, path: &Path) -> Result<u64> {
    let writing = || format!("writing {}", path.display());
    let products = world.catalogue.products();
    let text = |of: &dyn Fn(&Product) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(products.iter().map(of)))
    };
    let decimal = |of: &dyn Fn(&Product) -> i128, precision| -> Result<ArrayRef> {
        let values = Decimal128Array::from_iter_values(products.iter().map(of));
        Ok(Arc::new(values.with_precision_and_scale(precision, 2).doing(writing)?))
    };
    let brands: StringArray = products.iter().map(|product| product.brand).collect();
    let batch = RecordBatch::try_from_iter_with_nullable([
        (
            "ArticleNumber",
            Arc::new(Int32Array::from_iter_values(products.iter().map(|p| p.article as i32))) as ArrayRef,
            false,
        ),
        ("SKU", text(&|product| product.sku.clone()), false),
        ("EAN", text(&|product| ean(product.article)), false),
        ("ProductName", text(&|product| product.name.clone()), false),
        ("Brand", Arc::new(brands), true),
        ("Category", text(&|product| product.category.to_owned()), false),
        ("SubCategory", text(&|product| product.subcategory.to_owned()), false),
        (
            "SoldByWeight",
            Arc::new(BooleanArray::from_iter(products.iter().map(|p| Some(p.by_weight)))),
            false,
        ),
        ("TaxRate", decimal(&|product| i128::from(product.tax) * 100, 4)?, false),
        ("ListPrice", decimal(&|product| product.base_price.into(), 10)?, false),
    ])
    .doing(writing)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by("buyers".to_owned())
        .build();
    let file = File::create(path).doing(|| format!("creating {}", path.display()))?;
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).doing(writing)?;
    writer.write(&batch).doing(writing)?;
    writer.close().doing(writing)?;
    Ok(products.len() as u64)
}

/// The bar code: an EAN-13 of the range for use inside a company.
fn ean(article: u32) -> String {
    let digits = 200_000_000_000 + u64::from(article);
    format!("{digits}{}", check_digit(digits))
}
