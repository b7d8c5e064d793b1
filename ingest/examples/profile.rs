//! Temporary: measures a landing.
use std::sync::Arc;
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let rt = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    rt.block_on(async {
        let dir = std::path::PathBuf::from(std::env::args().nth(1).unwrap());
        let _ = std::fs::remove_dir_all(dir.join("lake"));
        let lake = cordada_lake::Lake::open(&dir.join("lake").to_string_lossy(), &Default::default()).await.unwrap();
        let sources = cordada_ingest::load_sources(&dir.join("sources")).unwrap();
        let t = std::time::Instant::now();
        let r = cordada_ingest::ingest(&lake, &dir, &sources, &[], Arc::new(cordada_lake::progress::Silent), Default::default()).await;
        println!("{:?} {r:?}", t.elapsed());
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        println!("{}", status.lines().find(|l| l.starts_with("VmHWM")).unwrap());
    });
}
