//! `cordada demo`: a company that does not exist, from its systems to a campaign.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Instant;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type};
use cordada_core::{Context, Error, ErrorKind, Result};
use cordada_demo::Summary;
use cordada_demo::marker::Marker;
use cordada_demo::server::{self, Limits, Server};
use cordada_lake::query::sql;
use cordada_project::{Project, Selection};
use tokio_util::sync::CancellationToken;

use crate::Outcome;
use crate::cli::Options;
use crate::output::{grouped, size};

pub async fn run(
    options: &Options,
    dir: &Path,
    customers: u32,
    seed: u64,
    cancel: CancellationToken,
) -> Result<Outcome> {
    let started = Instant::now();
    let mut marker = Marker::claim(dir, customers, seed)?;
    let summary = match marker.summary {
        Some(summary) => summary,
        None => generate(options, dir, customers, seed).await?,
    };
    marker.summary = Some(summary);
    marker.write(dir)?;
    let server = start_server(dir, &mut marker).await?;
    cordada_demo::project::write_project(
        dir,
        server.address().port(),
        free_port(cordada_demo::project::COLLECTOR)?,
    )?;

    let project = Project::open(dir, None).await?;
    let sources = project.sources()?;
    let requests = send_hits(options, &project, &sources, &cancel).await?;
    let landed = project.ingest(&[], options.progress(), cancel.clone()).await?;
    let answered = server.answered();
    server.stop().await?;
    let everything = Selection::default();
    let built = project
        .build(everything, false, options.progress(), cancel.clone())
        .await?;
    if !built.succeeded() {
        return Err(Error::failed("building the demo", "a node or a test failed")
            .hint(format!("see it with: cordada --project {} build", dir.display())));
    }
    let exports = project.export(&[], false, &*options.progress(), cancel).await?;
    let revenue = revenue_cents(&project).await?;
    if revenue != summary.revenue_cents() {
        return Err(
            Error::failed("checking the demo", "the marts' revenue is not what the systems sold")
                .with("marts_cents", revenue)
                .with("systems_cents", summary.revenue_cents()),
        );
    }

    // The collector has landed the hits before.
    let hits = if requests > 0 {
        summary.web_events + summary.repeated_web_events
    } else {
        0
    };
    println!();
    println!(
        "A supermarket chain with {} customers, {} stores and a shop, in {}:",
        grouped(summary.customers),
        summary.stores,
        dir.display()
    );
    println!(
        "  generated  its ERP's database, its shop, its web hits and lists of head office, {}",
        size(summary.bytes)
    );
    if requests > 0 {
        println!(
            "  collected  {} web hits in {} requests, all acknowledged",
            grouped(hits),
            grouped(requests)
        );
    }
    println!(
        "  asked      the shop's API {} times; overloaded (429): {}, broken (500): {}, each asked again",
        grouped(answered.requests),
        answered.later,
        answered.broken
    );
    let rows = hits + landed.streams.iter().map(|stream| stream.rows).sum::<u64>();
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
            report.channel.destination
        );
    }
    println!("  took       {:.1} s", started.elapsed().as_secs_f64());
    println!();
    let place = dir.display();
    println!("Next:");
    println!("  cordada --project {place} query \"select * from marts.monthly_revenue order by month\"");
    println!("  cordada --project {place} query \"select * from ml.customer_segments limit 5\"");
    if let Some(customer) = best_customer(&project).await? {
        println!("  cordada --project {place} person {customer}");
    }
    println!("  cordada --project {place} serve      # then connect any Flight SQL client to 127.0.0.1:50051");
    Ok(Outcome::Done)
}

/// Serves the shop and the open data of the demo in `dir` until it is cancelled.
///
/// # Errors
/// Config if there is no demo; unavailable if its port is taken.
pub async fn serve(dir: &Path, cancel: CancellationToken) -> Result<Outcome> {
    let mut marker = Marker::read(dir).ok_or_else(|| {
        Error::config(format!("serving the demo in {}", dir.display()), "there is none")
            .hint("make one with `cordada demo`, or name its folder with --dir")
    })?;
    let server = start_server(dir, &mut marker).await?;
    println!(
        "Serving the demo's shop and open data on http://{} until Ctrl-C.",
        server.address()
    );
    println!("In another terminal: cordada --project {} ingest", dir.display());
    cancel.cancelled().await;
    server.stop().await?;
    Ok(Outcome::Done)
}

/// Adds to `error` what to do about it, if it is that the shop of the demo in `dir` does not run.
pub fn explain(dir: &Path, error: Error) -> Error {
    let port = Marker::read(dir).and_then(|marker| marker.port);
    let port = port.filter(|_| error.kind() == ErrorKind::Unavailable);
    match port {
        Some(port) if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() => error.hint(format!(
            "the demo's shop is not running: start it in another terminal with `cordada demo --serve --dir {}`",
            dir.display()
        )),
        _ => error,
    }
}

/// Starts the shop where it was before; the first time where nobody else is.
async fn start_server(dir: &Path, marker: &mut Marker) -> Result<Server> {
    let port = match marker.port {
        Some(port) => port,
        None => free_port(server::PORT)?,
    };
    let server = Server::start(&dir.join("data"), port, Limits::default()).await?;
    marker.port = Some(port);
    marker.write(dir)?;
    Ok(server)
}

/// `usual`, or another port if somebody listens there.
fn free_port(usual: u16) -> Result<u16> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, usual))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .and_then(|listener| listener.local_addr());
    Ok(bound.doing(|| "looking for a free port")?.port())
}

/// Sends what the web tracker has queued to the project's collector, which runs for as long as that takes and lands
/// what it took; how many requests that were.
async fn send_hits(
    options: &Options,
    project: &Project,
    sources: &[cordada_ingest::SourceFile],
    cancel: &CancellationToken,
) -> Result<u64> {
    let outbox = project.dir.join(cordada_demo::hits::OUTBOX);
    let web = sources.iter().find(|source| source.name() == "web");
    let Some(web) = web.filter(|_| outbox.exists()) else {
        return Ok(0);
    };
    let task = options.progress().start("web hits", None, "requests");
    let send = async |address: SocketAddr| {
        let url = format!("http://{address}");
        cordada_demo::hits::send(&outbox, &url, &|requests| task.advance(requests), cancel).await
    };
    let Some(requests) = project.listen_during(sources, web, send, cancel).await? else {
        return Ok(0);
    };
    std::fs::remove_dir(&outbox).doing(|| format!("removing {}", outbox.display()))?;
    task.finish(&format!("{} requests acknowledged", grouped(requests)));
    Ok(requests)
}

async fn generate(options: &Options, dir: &Path, customers: u32, seed: u64) -> Result<Summary> {
    let progress = options.progress();
    let what = cordada_demo::Options {
        customers,
        seed,
        dir: dir.to_owned(),
    };
    let generating = tokio::task::spawn_blocking(move || {
        let task = progress.start("generate", None, "rows");
        let summary = cordada_demo::generate(&what, &|rows| task.advance(rows))?;
        task.finish(&size(summary.bytes));
        Ok(summary)
    });
    generating
        .await
        .map_err(|error| Error::failed("generating the demo", error))?
}

/// The revenue of all months, in cents.
async fn revenue_cents(project: &Project) -> Result<i64> {
    let doing = || "adding up the revenue";
    let query = "select cast(sum(revenue) * 100 as decimal(38, 0)) from marts.monthly_revenue";
    let batches = rows(project, query).await?;
    let cents = batches
        .first()
        .map(|batch| batch.column(0).as_primitive::<Decimal128Type>().value(0));
    i64::try_from(cents.unwrap_or_default()).map_err(|error| Error::failed(doing(), error))
}

/// The id of somebody of whom there is much to see.
async fn best_customer(project: &Project) -> Result<Option<String>> {
    let query =
        "select cast(customer_id as varchar) from marts.customers order by lifetime_revenue desc, customer_id limit 1";
    let batches = rows(project, query).await?;
    let ids = batches.iter().filter(|batch| batch.num_rows() > 0);
    let ids = ids.map(|batch| cast(batch.column(0), &DataType::Utf8).doing(|| "looking for a customer"));
    let ids = ids.collect::<Result<Vec<_>>>()?;
    Ok(ids.first().map(|ids| ids.as_string::<i32>().value(0).to_owned()))
}

/// The rows of a query of the newest release.
async fn rows(project: &Project, query: &str) -> Result<Vec<RecordBatch>> {
    let doing = || "looking at what was built";
    let session = project.lake.session(&project.lake.releases().newest().await?);
    let plan = sql::plan(&project.lake, &session, query).await?;
    let frame = session.execute_logical_plan(plan).await.doing(doing)?;
    frame.collect().await.doing(doing)
}
