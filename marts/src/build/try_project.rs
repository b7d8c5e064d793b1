#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]
use super::*;
use crate::{LoadOptions, Project, compile};
use cordada_lake::{Settings, progress::Silent};

#[tokio::test]
#[ignore]
async fn try_project() {
    let dir = std::env::var("TRY_DIR").unwrap();
    let vars: serde_json::Map<_, _> = serde_json::from_str(&std::env::var("TRY_VARS").unwrap_or("{}".into())).unwrap();
    let tmp = tempfile::tempdir().unwrap();
    let lake = Lake::open(tmp.path().to_str().unwrap(), &Settings::default())
        .await
        .unwrap();
    let clock = Instant::now();
    let project = Project::load(
        std::path::Path::new(&dir),
        &LoadOptions {
            vars,
            ..Default::default()
        },
    );
    let project = match project {
        Ok(p) => p,
        Err(e) => {
            println!("LOAD: {e}");
            return;
        }
    };
    println!("loaded {} nodes in {:?}", project.nodes().count(), clock.elapsed());
    let clock = Instant::now();
    let compiled = match compile(&project, &lake, &Default::default()).await {
        Ok(p) => p,
        Err(e) => {
            println!("COMPILE: {e}");
            return;
        }
    };
    println!("compiled in {:?}", clock.elapsed());
    for round in 0..2 {
        let clock = Instant::now();
        let compiled = if round == 0 {
            compiled.clone()
        } else {
            compile(&project, &lake, &Default::default()).await.unwrap()
        };
        let report = build(
            &compiled,
            &lake,
            &Default::default(),
            &BuildOptions::default(),
            Arc::new(Silent),
            CancellationToken::new(),
        )
        .await
        .unwrap();
        println!("built in {:?}: release {:?}", clock.elapsed(), report.release);
        if report.nodes.len() < 50 {
            for n in &report.nodes {
                println!(
                    "  {} {} {:?} {:?} {:?}",
                    n.table, n.materialization, n.status, n.rows, n.message
                );
            }
            for t in &report.tests {
                println!("  {} {:?} {} {:?}", t.name, t.status, t.failures, t.message);
            }
        }
    }
}
