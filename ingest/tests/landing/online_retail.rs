//! The UCI Online Retail data: figures that are known from elsewhere.

use std::path::{Path, PathBuf};

use super::Project;

/// The folder with the data, if this machine has it.
fn data() -> Option<PathBuf> {
    let folder = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("../../shared/data/online_retail");
    let there = folder.join("onlineretail.csv.gz").exists();
    if !there {
        eprintln!("SKIPPED: {} is not there", folder.display());
    }
    there.then_some(folder)
}

#[tokio::test]
async fn known_figures_come_out_of_csv_and_parquet() {
    let Some(folder) = data() else {
        return;
    };
    for file in ["onlineretail.csv.gz", "onlineretail.parquet"] {
        let path = folder.join(file);
        let streams = format!("{{lines: {{path: '{}', allow_outside: true}}}}", path.display());
        let project = Project::new(&streams).await;
        let report = project.ingest().await;
        assert_eq!(
            (report.streams[0].rows, report.streams[0].rejected),
            (541_909, 0),
            "{file}"
        );
        let figures = project
            .sql(
                "select count(*), count(distinct customer_id), count(distinct invoice_no), \
                 count(distinct stock_code), count(distinct country), count(*) - count(customer_id), \
                 count(*) - count(description), cast(sum(quantity * cast(unit_price as decimal(18, 3))) as decimal(18, 2)) \
                 from raw_shop.lines",
            )
            .await;
        assert_eq!(figures, ["541909|4372|25900|4070|38|135080|1454|9747747.93"], "{file}");
        assert_eq!(project.ingest().await.streams[0].files, 0);
        assert_eq!(project.sql("select count(*) from raw_shop.lines").await, ["541909"]);
    }
}
