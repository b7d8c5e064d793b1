//! Workbooks, from end to end: the fixtures are what openpyxl, LibreOffice's format and xlwt make of the same rows.

use super::Project;

#[tokio::test]
async fn a_sheet_lands_with_the_types_of_its_cells() {
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("formats/src/fixtures");
    for file in ["sales.xlsx", "sales.xls", "sales.ods"] {
        let project = Project::new(&format!("{{sales: {{path: {file}, excel: {{sheet: Sales}}}}}}")).await;
        project.write(file, std::fs::read(fixtures.join(file)).unwrap());
        let report = project.ingest().await;
        assert_eq!((report.streams[0].rows, report.streams[0].rejected), (3, 0), "{file}");
        assert_eq!(
            project.columns("raw_shop.sales").await,
            [
                "customer_id Utf8",
                "units Int64",
                "unit_price Decimal128(18, 2)",
                "day Date32",
                "at Timestamp(µs, \"UTC\")",
                "paid Boolean",
                "note Utf8",
            ],
            "{file}"
        );
        let rows = project
            .sql("select customer_id, units, unit_price, day, at, paid, note, _origin from raw_shop.sales order by _origin")
            .await;
        let origin = |row: usize| format!("{file}:{row}");
        assert_eq!(
            rows,
            [
                format!("007|5|2.50|2024-01-31|2024-01-31T10:15:00Z|true|Begoña|{}", origin(4)),
                format!("008|-1|10.25|2024-02-29|2024-02-29T00:00:01Z|false|null|{}", origin(5)),
                format!("009|3|null|null|null|null|x|{}", origin(7)),
            ],
            "{file}"
        );
    }
}
