//! `cordada demo`: a company that does not exist, from its systems to a campaign.

use std::path::Path;
use std::time::Instant;

use arrow::array::AsArray;
use arrow::datatypes::Decimal128Type;
use cordada_lake::{Context, Error, Result, sql};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::Outcome;
use crate::cli::{Options, SelectionArgs};
use crate::commands::{build, export};
use crate::demo::{self, Summary};
use crate::output::{grouped, size};
use crate::project::Project;

/// What the folder was generated with, so that another company is not poured over it.
const MARKER: &str = "demo.json";

/// The file's content.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Marker {
    customers: u32,
    seed: u64,
}

pub async fn run(
    options: &Options,
    dir: &Path,
    customers: u32,
    seed: u64,
    cancel: CancellationToken,
) -> Result<Outcome> {
    let started = Instant::now();
    claim(dir, &Marker { customers, seed })?;
    let summary = generate(options, dir, customers, seed).await?;
    demo::project::write_project(dir)?;

    let project = Project::open(dir, None).await?;
    let sources = project.sources()?;
    let landing = cordada_ingest::ingest(
        &project.lake,
        dir,
        &sources,
        &[],
        project.pii_key()?.as_ref(),
        options.progress(),
        cancel.clone(),
    );
    let landed = landing.await?;
    let everything = SelectionArgs {
        select: Vec::new(),
        exclude: Vec::new(),
    };
    let built = build::build(options, &project, everything, false, cancel.clone()).await?;
    if !built.succeeded() {
        return Err(Error::failed("building the demo", "a node or a test failed")
            .hint(format!("see it with: cordada --project {} build", dir.display())));
    }
    let exports = export::export(options, &project, &[], false, cancel).await?;
    let revenue = revenue_cents(&project).await?;
    if revenue != summary.revenue_cents() {
        return Err(
            Error::failed("checking the demo", "the marts' revenue is not what the systems sold")
                .with("marts_cents", revenue)
                .with("systems_cents", summary.revenue_cents()),
        );
    }

    println!();
    println!(
        "A supermarket chain with {} customers, {} stores and a shop, in {}:",
        grouped(summary.customers),
        summary.stores,
        dir.display()
    );
    println!(
        "  generated  {} files of its ERP, shop, web and open data, {}",
        summary.files,
        size(summary.bytes)
    );
    let rows: u64 = landed.streams.iter().map(|stream| stream.rows).sum();
    println!(
        "  landed     {} rows in {} Delta tables; {} rejected",
        grouped(rows),
        landed.streams.len(),
        grouped(landed.streams.iter().map(|stream| stream.rejected).sum())
    );
    println!(
        "  built      {} relations, {} tests passed; {}",
        built.nodes.len(),
        built.tests.len(),
        built
            .release
            .map_or("nothing had changed".to_owned(), |release| format!(
                "published as release {release}"
            ))
    );
    println!(
        "  agrees     revenue in the marts is what the systems sold, to the cent: {}.{:02}",
        grouped(revenue.unsigned_abs() / 100),
        revenue.unsigned_abs() % 100
    );
    for (name, report) in &exports {
        let withheld = report.withheld_without_consent.map_or(String::new(), |rows| {
            format!("; {} withheld without consent", grouped(rows))
        });
        println!(
            "  exported   {name}: {} customers to {}{withheld}",
            grouped(report.rows),
            report.file.display()
        );
    }
    println!("  took       {:.1} s", started.elapsed().as_secs_f64());
    println!();
    let place = dir.display();
    println!("Next:");
    println!("  cordada --project {place} query \"select * from marts.monthly_revenue order by month\"");
    println!("  cordada --project {place} query \"select * from ml.customer_segments limit 5\"");
    println!("  cordada --project {place} serve      # then connect any Flight SQL client to 127.0.0.1:50051");
    Ok(Outcome::Done)
}

/// Makes sure that the folder is empty, or of the same demo.
fn claim(dir: &Path, marker: &Marker) -> Result<()> {
    let doing = || format!("preparing the demo in {}", dir.display());
    let file = dir.join(MARKER);
    if let Ok(text) = std::fs::read_to_string(&file) {
        let there: Option<Marker> = serde_json::from_str(&text).ok();
        if there.as_ref() == Some(marker) {
            return Ok(());
        }
        return Err(Error::config(doing(), "there is a demo of another size or seed")
            .hint("remove the folder, or choose another with --dir"));
    }
    let taken = std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    if taken {
        return Err(Error::config(doing(), "the folder is not empty").hint("choose another with --dir"));
    }
    std::fs::create_dir_all(dir).doing(doing)?;
    std::fs::write(&file, serde_json::to_string(marker).doing(doing)?).doing(doing)
}

async fn generate(options: &Options, dir: &Path, customers: u32, seed: u64) -> Result<Summary> {
    let progress = options.progress();
    let what = demo::Options {
        customers,
        seed,
        dir: dir.to_owned(),
    };
    let generating = tokio::task::spawn_blocking(move || {
        let task = progress.start("generate", None, "rows");
        let summary = demo::generate(&what, &|rows| task.advance(rows))?;
        task.finish(&format!("{} files, {}", summary.files, size(summary.bytes)));
        Ok(summary)
    });
    generating
        .await
        .map_err(|error| Error::failed("generating the demo", error))?
}

/// The revenue of all months, in cents.
async fn revenue_cents(project: &Project) -> Result<i64> {
    let doing = || "adding up the revenue";
    let session = project.lake.session(&project.lake.releases().newest().await?);
    let query = "select cast(sum(revenue) * 100 as decimal(38, 0)) from marts.monthly_revenue";
    let plan = sql::plan(&project.lake, &session, query).await?;
    let frame = session.execute_logical_plan(plan).await.doing(doing)?;
    let batches = frame.collect().await.doing(doing)?;
    let cents = batches
        .first()
        .map(|batch| batch.column(0).as_primitive::<Decimal128Type>().value(0));
    i64::try_from(cents.unwrap_or_default()).map_err(|error| Error::failed(doing(), error))
}
